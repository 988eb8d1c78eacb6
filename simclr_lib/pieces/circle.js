// The views of a batch on a circle; a slider for the temperature, one for the updates, and one view
// as the anchor, whose shares of Equation 1 are lines.
const views = 2 * DATA.images, steps = DATA.losses.length / DATA.temperatures.length;
const name = (k) => (k % DATA.images) + 1 + "ab"[Math.floor(k / DATA.images)];
const controls = add(main, "div", { class: "controls" });
const temperature = slider(controls, "temperature τ", DATA.temperatures, DATA.first, String, draw);
const update = slider(controls, "updates", [...Array(steps).keys()], 0, String, draw);
const anchor = slider(controls, "anchor: view", [...Array(views).keys()], 0, name, draw);

const picture = add(main, "svg", { viewBox: "0 0 460 350", role: "img", "aria-describedby": "said" });
add(add(add(picture, "defs"), "marker",
  { id: "tip", viewBox: "0 0 10 10", refX: 8, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto" }),
  "path", { d: "M0 1 L9 5 L0 9 z", fill: "var(--ink)" });
const X = 230, Y = 175, R = 125;
add(picture, "circle", { cx: X, cy: Y, r: R, fill: "none", stroke: "var(--line)" });
const lines = [...Array(views)].map(() => add(picture, "line"));
const arrows = [...Array(views)].map(() =>
  add(picture, "path", { fill: "none", stroke: "var(--ink)", "stroke-width": 1.6, "marker-end": "url(#tip)" }));
const dots = [...Array(views).keys()].map((k) => {
  const dot = add(picture, "circle", { stroke: "var(--ink)", style: "cursor:pointer" });
  for (const event of ["click", "pointerenter"]) dot.addEventListener(event, () => anchor.set(k));
  return dot;
});
const labels = [...Array(views).keys()].map((k) => add(picture, "text", { "text-anchor": "middle" }, name(k)));
const said = add(main, "p", { id: "said", "aria-live": "polite" });
add(main, "p", { class: "note" },
  "Lines: the shares of the anchor's loss, solid to its partner, dotted to the others. Arrows: where NT-Xent " +
  "pulls each view along the circle; the longest has always the same length. Point at a view to make it the anchor.");

function draw() {
  const frame = temperature.place * steps + update.place, i = anchor.place, j = (i + DATA.images) % views;
  const angle = DATA.angles.subarray(frame * views, (frame + 1) * views);
  const pull = DATA.pulls.subarray(frame * views, (frame + 1) * views);
  const share = DATA.shares.subarray((frame * views + i) * views, (frame * views + i + 1) * views);
  const at = (a, r) => [X + r * Math.cos(a), Y - r * Math.sin(a)];
  const longest = Math.max(...pull.map(Math.abs));
  for (let k = 0; k < views; k++) {
    const [x, y] = at(angle[k], R), [x1, y1] = at(angle[i], R), end = angle[k] + 0.42 * pull[k] / longest;
    const attributes = k === i ? { stroke: "none" } :
      { x1, y1, x2: x, y2: y, stroke: k === j ? "var(--key)" : "var(--warm)", "stroke-width": 0.5 + 9 * share[k] / 255,
        "stroke-dasharray": k === j ? "none" : "2 3" };
    for (const [key, value] of Object.entries(attributes)) lines[k].setAttribute(key, value);
    const far = R + 7, [ax, ay] = at(angle[k], far), [bx, by] = at(end, far);
    arrows[k].setAttribute("d", `M${ax} ${ay} A${far} ${far} 0 0 ${pull[k] > 0 ? 0 : 1} ${bx} ${by}`);
    arrows[k].setAttribute("visibility", Math.abs(pull[k]) > 0.02 * longest ? "visible" : "hidden");
    for (const [key, value] of Object.entries({ cx: x, cy: y, r: k === i ? 8 : 5,
      fill: k === i ? "var(--ink)" : k === j ? "var(--key)" : "var(--paper)" })) dots[k].setAttribute(key, value);
    const [tx, ty] = at(angle[k], k < DATA.images ? R + 24 : R - 20); // a outside, b inside
    labels[k].setAttribute("x", tx); labels[k].setAttribute("y", ty + 4);
  }
  const others = [...share.keys()].filter((k) => k !== i && k !== j).sort((a, b) => share[b] - share[a]);
  const percent = (k) => Math.round(share[k] / 2.55) + " %";
  said.textContent = `Loss ${DATA.losses[frame].toFixed(2)} nats. Of the weights of view ${name(i)} its partner ` +
    `${name(j)} has ${percent(j)}, the strangers ${name(others[0])} ${percent(others[0])} and ${name(others[1])} ` +
    `${percent(others[1])}; the other ${others.length - 2} share the rest.`;
}
draw();
