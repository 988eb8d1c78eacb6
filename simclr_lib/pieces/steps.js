// What an update does to every layer: a bar for its weights, marks for its batch norm, on a scale of
// powers of ten; under SGD or LARS, at any update, in any of four measures.
const controls = add(main, "div", { class: "controls", style: "grid-template-columns:repeat(auto-fit,minmax(15rem,1fr))" });
const set = add(controls, "fieldset", { style: "border:0;padding:0;margin:0" });
add(set, "legend", { style: "padding:0" }, "optimizer");
const buttons = DATA.optimizers.map((name, k) => {
  const label = add(set, "label", { style: "display:inline-block;margin-right:1.2rem;min-height:1.8rem" });
  const button = add(label, "input", { type: "radio", name: "optimizer", ...(k ? {} : { checked: "" }) });
  label.append(" " + name);
  button.addEventListener("change", draw);
  return button;
});
const shown = add(add(controls, "label", {}, "shown"), "select", { style: "display:block;width:100%" });
for (const name of DATA.names) add(shown, "option", {}, name);
shown.addEventListener("change", draw);
const update = slider(controls, "update", [...Array(DATA.updates - 1).keys()], 0, (k) => `${k + 1} of ${DATA.updates - 1}`, draw);
const layer = slider(controls, "layer", DATA.rows, 0, (row) => row[0], draw);

const ROW = 16, LEFT = 92, RIGHT = 388, TOP = 24, FOOT = TOP + ROW * DATA.rows.length;
add(main, "style", {}, "@media (prefers-reduced-motion: no-preference) { .moves * { transition: all .25s; } }");
const picture = add(main, "svg", { viewBox: `0 0 400 ${FOOT + 4}`, role: "img", "aria-describedby": "said",
  style: "max-width:36rem;margin:.4rem auto 0" });
const scale = add(picture, "g"), rows = add(picture, "g", { class: "moves" });
const chosen = add(rows, "rect", { x: 0, width: 400, height: ROW, fill: "var(--line)", opacity: 0.5 });
const layers = DATA.rows.map(([name], k) => {
  const at = TOP + ROW * (k + 0.5);
  add(picture, "text", { x: LEFT - 6, y: at + 4.5, "text-anchor": "end" }, name);
  const made = [ // weights, gamma, offset; the marks are drawn around 0 0 and moved
    add(rows, "rect", { x: LEFT, y: at - 5, height: 10, fill: "var(--key)" }),
    add(rows, "path", { d: "M-4.5 0L0-4.5L4.5 0L0 4.5z", fill: "var(--warm)", stroke: "var(--paper)" }),
    add(rows, "circle", { r: 3.2, fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 1.6 }),
  ];
  const touch = add(picture, "rect", { x: 0, y: at - ROW / 2, width: 400, height: ROW, fill: "transparent", style: "cursor:pointer" });
  touch.addEventListener("click", () => layer.set(k));
  return made;
});
const short = (number) => Number(number.toPrecision(2)).toString();
const said = add(main, "p", { id: "said", "aria-live": "polite" });
add(main, "p", { class: "note" },
  "Bar: weights of a convolution or dense layer. Diamond: gamma, circle: beta of its batch norm, which LARS does " +
  "not adapt. 2.1 is group 2, block 1. Every grid line is ten times the one before; what is 0 has no mark. " +
  "Click on a layer to choose it.");

function draw() {
  const optimizer = buttons.findIndex((button) => button.checked), measure = shown.selectedIndex, now = update.place;
  const frame = (optimizer * (DATA.updates - 1) + now) * DATA.tensors;
  const value = (tensor, which) => tensor < 0 ? 0 : DATA.measures[(frame + tensor) * DATA.names.length + which];
  const [low, high] = DATA.decades[measure];
  const x = (value) => LEFT + (RIGHT - LEFT) * (Math.log10(value) - low) / (high - low);
  const words = (number) => measure ? short(number) : short(100 * number) + " %";
  const every = high - low < 5 ? 1 : high - low < 9 ? 2 : 4; // or labels of powers would touch
  scale.replaceChildren();
  for (let power = low; power <= high; power++) {
    add(scale, "line", { x1: x(10 ** power), x2: x(10 ** power), y1: TOP, y2: FOOT, stroke: "var(--line)" });
    const text = words(10 ** power), place = power === high && text.length > 2 ? { x: 400, "text-anchor": "end" } :
      { x: x(10 ** power), "text-anchor": "middle" };
    if (power % every === 0) add(scale, "text", { y: TOP - 8, ...place }, text);
  }
  chosen.setAttribute("y", TOP + ROW * layer.place);
  layers.forEach((made, k) => made.forEach((mark, kind) => {
    const here = value(DATA.rows[k][kind + 1], measure), y = TOP + ROW * (k + 0.5) + [0, -2.5, 2.5][kind];
    mark.style.opacity = here > 0 ? 1 : 0;
    if (kind) mark.style.transform = `translate(${here > 0 ? x(here) : LEFT}px, ${y}px)`;
    else mark.style.width = (here > 0 ? x(here) - LEFT : 0) + "px";
  }));
  say(optimizer, now, measure, value, words);
}

function say(optimizer, now, measure, value, words) {
  const all = DATA.rows.map((row) => [value(row[1], measure), row[0]]).filter(([number]) => number > 0).sort((a, b) => a[0] - b[0]);
  const [least, most] = [all[0], all.at(-1)], row = DATA.rows[layer.place];
  const parts = DATA.kinds.map((kind, k) => [kind, value(row[k + 1], measure)]).filter(([, number]) => number > 0);
  const range = most[0] < 1.01 * least[0] ? words(most[0]) + " in all layers" : `from ${words(least[0])} (${least[1]}) ` +
    `to ${words(most[0])} (${most[1]}), ${short(most[0] / least[0])} times as much`;
  said.textContent = `${DATA.optimizers[optimizer]}, learning rate ${short(DATA.rates[optimizer][now])}, loss ` +
    `${DATA.losses[optimizer][now].toFixed(2)} nats. ${DATA.names[measure]}: ${range}. Layer ${row[0]}: ` +
    parts.map(([kind, number]) => `${kind} ${words(number)}`).join(", ") + ".";
}
draw();
