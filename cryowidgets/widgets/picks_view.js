// Picks on a micrograph for those who look: see picks_layer.js.

function render({ model, el, signal }) {
  return micrograph({ model, el, signal, over: (view) => picksLayer({ model, el, signal, view }) });
}

export default { render };
