// What all pieces share. A piece makes its page from DATA, which was computed in Python.

// Arrays come as base64 of little-endian numbers; the rest is plain.
function unpack(values) {
  const kinds = { float32: Float32Array, int16: Int16Array, uint8: Uint8Array };
  const entries = Object.entries(values).map(([name, value]) => {
    if (!value || !value.base64) return [name, value];
    const bytes = Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0));
    return [name, new kinds[value.kind](bytes.buffer)];
  });
  return Object.fromEntries(entries);
}

const main = document.querySelector("main");

function add(parent, name, attributes = {}, text = "") {
  const drawn = parent.namespaceURI.endsWith("svg") || name === "svg";
  const made = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return parent.appendChild(made);
}

// A slider over the places of `values`, by mouse, finger and keyboard; `show` makes words of a value.
function slider(parent, name, values, first, show, moved) {
  const label = add(parent, "label", {}, name + " ");
  const said = add(label, "output");
  const range = add(label, "input", { type: "range", min: 0, max: values.length - 1, value: first });
  const tell = () => {
    said.textContent = show(values[range.value]);
    range.setAttribute("aria-valuetext", said.textContent);
  };
  range.addEventListener("input", () => { tell(); moved(); });
  tell();
  return { range, set: (place) => { range.value = place; tell(); moved(); }, get place() { return +range.value; } };
}

// The notebook around gives the frame the height that the page needs.
new ResizeObserver(() => parent.postMessage({ pieceHeight: document.documentElement.offsetHeight }, "*"))
  .observe(document.documentElement);
