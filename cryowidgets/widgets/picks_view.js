// Picks on a micrograph for those who look: see picks_layer.js.

function render({ model, el, signal }) {
  const over = (view) => picksLayer({ model, el, signal, view });
  return micrograph({ model, el, signal, over, lowpass: SMOOTH });
}

export default { render };
