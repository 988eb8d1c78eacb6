// Puts the page of a piece where its still picture is, in a frame of its own: no style and no name
// of the notebook around can meet those of the piece.
(() => {
  const place = document.querySelector('[data-piece="MARK"]:not([data-alive])');
  if (!place) return;
  place.dataset.alive = "";
  const frame = document.createElement("iframe");
  frame.title = "TITLE";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.style.cssText = "display:block;width:100%;max-width:46rem;height:30rem;border:0";
  addEventListener("message", (event) => {
    if (event.source === frame.contentWindow && event.data && event.data.pieceHeight > 0)
      frame.style.height = Math.ceil(event.data.pieceHeight) + "px";
  });
  frame.srcdoc = "PAGE";
  place.replaceChildren(frame);
})();
