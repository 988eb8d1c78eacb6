// The learning rate of a run as a hill for each scaling rule, with a cursor; and how far each goes.
const rules = [
  { name: "linear", stroke: "var(--key)", dash: "none" },
  { name: "square root", stroke: "var(--warm)", dash: "6 4" },
];
const whole = (number) => Math.round(number).toLocaleString("en-GB");
const controls = add(main, "div", { class: "controls", style: "grid-template-columns:repeat(auto-fit,minmax(15rem,1fr))" });
const size = slider(controls, "images in a batch", DATA.sizes, DATA.first[2], String, draw);
const epochs = slider(controls, "epochs", DATA.epochs, DATA.first[0], String, draw);
const warmUp = slider(controls, "warm-up, epochs", DATA.warmUps, DATA.first[1], String, draw);
const cursor = slider(controls, "along the run", [...Array(DATA.points).keys()], Math.round(DATA.points / 4),
  (point) => Math.round(100 * point / (DATA.points - 1)) + " %", draw);

const picture = add(main, "svg", { viewBox: "0 0 400 312", role: "img", "aria-describedby": "said",
  style: "max-width:36rem;margin:.4rem auto 0" });
const LEFT = 30, RIGHT = 388, TOP = 26, FOOT = 210, WAY = 84, FAR = 240; // the last of the longest way
const y = (rate) => FOOT - (FOOT - TOP) * rate / DATA.top;
for (let rate = 0; rate <= DATA.top; rate += 2) {
  add(picture, "line", { x1: LEFT, x2: RIGHT, y1: y(rate), y2: y(rate), stroke: "var(--line)" });
  add(picture, "text", { x: LEFT - 6, y: y(rate) + 4, "text-anchor": "end" }, rate);
}
add(picture, "text", { x: 4, y: 13 }, "learning rate, by number of the update");
const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
  const x = LEFT + share * (RIGHT - LEFT);
  add(picture, "line", { x1: x, x2: x, y1: FOOT, y2: FOOT + 5, stroke: "var(--soft)" });
  return add(picture, "text", { x, y: FOOT + 18, "text-anchor": share === 1 ? "end" : "middle" });
});
const line = add(picture, "line", { y1: TOP, y2: FOOT, stroke: "var(--ink)" });
for (const rule of rules) {
  rule.hill = add(picture, "path", { stroke: rule.stroke, fill: "none", "stroke-width": 2.5, "stroke-dasharray": rule.dash });
  rule.dot = add(picture, "circle", { r: 5, fill: rule.stroke, stroke: "var(--paper)" });
}
// Ways are on one scale for all runs, so that one can be told from another.
const longest = Math.max(...DATA.ways);
add(picture, "text", { x: 4, y: FOOT + 48 }, "way of the whole run: the sum of its learning rates");
rules.forEach((rule, k) => {
  const at = FOOT + 66 + 24 * k;
  add(picture, "text", { x: 4, y: at + 4 }, rule.name);
  rule.way = add(picture, "rect", { x: WAY, y: at - 5, height: 10, stroke: rule.stroke, "stroke-width": 2, fill: k ? "none" : rule.stroke });
  rule.far = add(picture, "text", { y: at + 4 });
});
const said = add(main, "p", { id: "said", "aria-live": "polite" });
add(main, "p", { class: "note" },
  `Solid: the linear rule, ${DATA.bases.linear} for every 256 images. Dashed: ${DATA.bases.sqrt} times the square root ` +
  "of their number. " +
  "Click into the hills to move the cursor.");
picture.addEventListener("click", (event) => {
  const box = picture.getBoundingClientRect(), x = 400 * (event.clientX - box.left) / box.width;
  const share = Math.min(1, Math.max(0, (x - LEFT) / (RIGHT - LEFT)));
  cursor.set(Math.round(share * (DATA.points - 1)));
});

function draw() {
  const run = (epochs.place * DATA.warmUps.length + warmUp.place) * DATA.sizes.length + size.place;
  const points = DATA.points, now = cursor.place;
  const steps = DATA.steps.subarray(run * points, (run + 1) * points), last = steps[points - 1];
  const [total, warm] = DATA.counts.subarray(2 * run, 2 * run + 2);
  const x = (step) => LEFT + (RIGHT - LEFT) * step / last, passes = DATA.epochs[epochs.place];
  marks.forEach((mark, k) => { mark.textContent = whole(k / 4 * last); });
  line.setAttribute("x1", x(steps[now])); line.setAttribute("x2", x(steps[now]));
  rules.forEach((rule, k) => {
    rule.rates = DATA.rates.subarray((2 * run + k) * points, (2 * run + k + 1) * points);
    rule.hill.setAttribute("d", "M" + [...rule.rates].map((rate, i) => x(steps[i]) + " " + y(rate)).join("L"));
    rule.dot.setAttribute("cx", x(steps[now])); rule.dot.setAttribute("cy", y(rule.rates[now]));
    const long = FAR * DATA.ways[2 * run + k] / longest;
    rule.way.setAttribute("width", long); rule.far.setAttribute("x", WAY + long + 8);
    rule.far.textContent = whole(DATA.ways[2 * run + k]);
  });
  const rates = (at) => rules.map((rule) => `${rule.name} ${rule.rates[at].toFixed(2)}`).join(", ");
  const peak = rules[0].rates.indexOf(Math.max(...rules[0].rates));
  said.textContent = `${whole(total)} updates, ${whole(warm)} of them warm-up. Peak: ${rates(peak)}. ` +
    `At update ${whole(steps[now])}, epoch ${(passes * steps[now] / total).toFixed(0)}: ${rates(now)}.`;
}
draw();
