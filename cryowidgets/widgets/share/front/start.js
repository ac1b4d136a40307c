// A page of ours from its first moment: it draws the widgets that the cells of its notebook gave. Where there are any
// that it does not know, as those of a plug-in, the programs of Voila take over, which know all and take longer.

const WIDGET = "application/vnd.jupyter.widget-view+json";
const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
const cells = [...document.querySelectorAll('script[type="application/vnd.voila.cell-output+json"]')];
const roots = cells.map((cell) => JSON.parse(cell.textContent).data?.[WIDGET]?.model_id);
const over = new AbortController();
const place = document.createElement("main");
let drawn = [];

function there(models) {
  for (const { stop } of drawn) stop.abort();
  drawn = roots.map((id) => view(models, id));
  place.replaceChildren(...drawn.map(({ el }) => el));
  if (place.isConnected) return;
  document.getElementById("loading")?.remove();
  document.body.append(place);
}

function strange() {
  if (over.signal.aborted) return;
  over.abort();
  for (const { stop } of drawn) stop.abort();
  place.remove();
  const stock = document.getElementById("voila").content;
  for (const script of stock.querySelectorAll("script[src]")) script.async = false; // in their order
  // What waits for the page to have loaded need not: that was long ago.
  const listen = addEventListener;
  globalThis.addEventListener = (event, call, ...rest) => (event === "load" ? setTimeout(call) : listen(event, call, ...rest));
  document.getElementById("front").remove();
  document.body.append(stock, ...document.querySelectorAll("link.ours")); // after Jupyter's, as in a notebook
}

// With its page a kernel ends, at once if the page says so.
function farewell() {
  if (over.signal.aborted) return;
  const words = new FormData();
  words.append("_xsrf", /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1] ?? "");
  navigator.sendBeacon(`${config.baseUrl}voila/api/shutdown/${config.kernelId}`, words);
}

// Figures cannot do without it, and there is time while the kernel is asked; live_plot.js looks for it here.
function asked() {
  const { href, dataset } = document.getElementById("bokeh") ?? {};
  if (!href || globalThis.__cryowidgets_bokeh) return;
  const loading = new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: href, onload: resolve });
    script.onerror = () => reject(new Error(`cannot load ${href}`));
    document.head.append(script);
  });
  loading.catch(() => {}); // who needs it hears of it
  globalThis.__cryowidgets_bokeh = { [dataset.version]: loading.then(() => Bokeh.set_log_level("error")) };
}

if (cells.length && roots.every(Boolean)) {
  const address = `${location.origin}${config.baseUrl}api/kernels/${config.kernelId}/channels`.replace(/^http/, "ws");
  follow(address, { known, asked, there, strange, signal: over.signal });
  addEventListener("pagehide", farewell);
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload()); // its kernel has ended
} else {
  strange();
}
