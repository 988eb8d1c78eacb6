// Two views of a picture, by smallest crop, colour strength and blur, and what two cheaters see of
// them. All views are tiles of one sprite; `place` says which tile a view is.
const { pictures, areas, strengths, views, side, across, crowd } = DATA;
const slides = add(main, "div", { class: "controls" });
const picture = slider(slides, "picture", pictures, 0, String, draw);
const area = slider(slides, "smallest crop", areas, DATA.first[0],
  (a) => (a < 1 ? `${+(100 * a).toFixed(1)} %` : "no crop"), draw);
const strength = slider(slides, "colour strength s", strengths, DATA.first[1], String, draw);
const blur = slider(slides, "blur", ["off", "on"], 0, String, draw);
const pair = slider(slides, "views compared", [...Array(views).keys()], 0,
  (k) => `${k + 1} and ${(k + 1) % views + 1}`, draw);

add(document.head, "style", {}, `
  .three { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .3rem .8rem; margin-top: .5rem; }
  .three > * { max-width: 9.5rem; } .three p { margin: 0; }
  canvas { image-rendering: pixelated; border: 1px solid var(--line); } .small { width: 60%; max-width: 6rem; }
  table { border-collapse: collapse; width: 100%; margin-top: .5rem; }
  th, td { text-align: left; vertical-align: top; padding: .2rem .5rem .2rem 0; border-top: 1px solid var(--line); }
  thead th { font-weight: normal; color: var(--soft); font-size: .87em; border: 0; }
  td i { display: block; height: .5rem; background: var(--key); min-width: 1px; }`);

// Three columns (the picture, two views) and in each the pixels, the colours and the layout.
const three = add(main, "div", { class: "three" });
const make = (name, attributes) => [0, 1, 2].map(() => add(three, name, attributes));
const titles = make("p", {});
const pixels = make("canvas", { role: "img", width: side, height: side });
const line = { class: "note", style: "grid-column: 1 / -1; max-width: none" };
add(three, "p", line, "What the cheater of colours sees: how many pixels are dark (left) to bright (right)");
const colours = make("svg", { role: "img", viewBox: "0 0 104 66" });
add(three, "p", line, "What the cheater of layout sees: where it is light and where dark, 8 x 8");
const layouts = make("canvas", { role: "img", class: "small", width: 8, height: 8 });
const HUES = { red: "#c8372d", green: "#2f8f46", blue: "#3f74d1" };
const bars = colours.map((svg) => {
  for (const [c, hue] of Object.keys(HUES).entries())
    add(svg, "text", { x: 16 + 36 * c, y: 61, "text-anchor": "middle", style: "font-size:11px" }, hue);
  const filled = [...Array(24).keys()].map((k) =>
    add(svg, "rect", { x: 4 * k + 4 * (k >> 3), width: 4, fill: Object.values(HUES)[k >> 3] }));
  return { filled, line: add(svg, "path", { fill: "none", stroke: "var(--ink)", "stroke-width": 1 }) };
});

const table = add(main, "table"), head = add(add(table, "thead"), "tr");
for (const words of ["cheater", "distance between the two views", `strangers as near or nearer, of ${crowd}`,
  `partners it finds at this setting, of ${crowd}`]) add(head, "th", { scope: "col" }, words);
const rows = ["colours", "layout"].map((name) => {
  const row = add(add(table, "tbody"), "tr");
  add(row, "th", { scope: "row" }, name);
  return { apart: add(row, "td"), nearer: add(row, "td"), found: add(row, "td") };
});
const said = add(main, "p", { id: "said", "aria-live": "polite" });
add(main, "p", { class: "note" }, "Thin line: the colours of the other view. A stranger is a second view of another " +
  "picture; a partner is found if no stranger is as near. Moving a slider changes no random number of the other steps.");
const sprite = add(main, "img", { src: DATA.sprite, alt: "", hidden: "" });
sprite.addEventListener("load", draw);

function draw() {
  const at = (s, b) => (area.place * strengths.length + s) * 2 + b, now = at(strength.place, blur.place);
  const p = picture.place, i = pair.place, two = [i, (i + 1) % views];
  const tile = (setting, v) => DATA.place[(setting * pictures.length + p) * views + v];
  const whole = DATA.place[DATA.place.length - pictures.length + p];
  const shown = [whole, ...two.map((v) => tile(now, v))];
  const shares = (which) => DATA.colours.subarray(24 * which, 24 * which + 24);
  const highest = Math.max(...shown.flatMap((t) => [...shares(t)]));
  const names = [pictures[p], ...two.map((v) => `view ${v + 1}`)];
  for (const [k, t] of shown.entries()) {
    titles[k].textContent = names[k];
    pixels[k].setAttribute("aria-label", names[k]);
    pixels[k].getContext("2d").drawImage(sprite,
      t % across * side, Math.floor(t / across) * side, side, side, 0, 0, side, side);
    const y = (share) => 50 - 48 * share / highest;
    for (const [j, share] of shares(t).entries()) {
      bars[k].filled[j].setAttribute("y", y(share));
      bars[k].filled[j].setAttribute("height", 50 - y(share));
    }
    const other = k ? [...shares(shown[3 - k])] : []; // each view has the outline of the other one
    bars[k].line.setAttribute("d", other.map((share, j) =>
      `${j % 8 ? "L" : "M"}${4 * j + 4 * (j >> 3)} ${y(share)}h4`).join(""));
    colours[k].setAttribute("aria-label", `colours of ${names[k]}`);
    layouts[k].setAttribute("aria-label", `layout of ${names[k]}`);
    const grey = new ImageData(8, 8);
    for (let j = 0; j < 64; j++) grey.data.set([...Array(3).fill(DATA.layouts[64 * t + j]), 255], 4 * j);
    layouts[k].getContext("2d").putImageData(grey, 0, 0);
  }
  const reports = rows.map((row, c) => {
    const one = ((now * pictures.length + p) * views + i) * 2 + c, nearer = DATA.nearer[one];
    const found = DATA.found[now * 2 + c].toFixed(1) + " %";
    row.apart.textContent = DATA.apart[one].toFixed(2);
    row.nearer.textContent = nearer ? nearer : "none: found";
    row.found.textContent = found;
    add(row.found, "i", { style: `width:${DATA.found[now * 2 + c]}%` });
    return { found, verdict: nearer ? `not found, ${nearer} of ${crowd} strangers ${nearer > 1 ? "are" : "is"} as near` : "found" };
  });
  // Colour and blur act by chance. Where they did not, the tile is the one without them.
  const changed = (without) => {
    const those = two.filter((v) => tile(now, v) !== tile(without, v)).map((v) => v + 1);
    return ["neither view", `view ${those[0]} only`, "both views"][those.length];
  };
  const steps = [], plain = strengths.indexOf(0);
  if (plain >= 0 && plain !== strength.place) steps.push(`Colours changed in ${changed(at(plain, blur.place))}.`);
  if (blur.place) steps.push(`Blurred: ${changed(at(strength.place, 0))}.`);
  said.textContent = [...steps, `The partner of ${names[1]}: by colours ${reports[0].verdict}; by layout ` +
    `${reports[1].verdict}. Of ${crowd} partners colours find ${reports[0].found}, layout ${reports[1].found}, ` +
    `guessing ${(100 / crowd).toFixed(1)} %.`].join(" ");
}
draw();
