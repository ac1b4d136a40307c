// Tells Python that somebody looks, and tells those who look when Python no longer answers: a page that has silently
// stopped is worse than none.

async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-pulse");
  const banner = document.createElement("div");
  banner.className = "cw-banner";
  banner.hidden = true;
  el.append(banner);
  let asked = null; // when the oldest question without an answer was put
  let answered = new Date();
  let tried = Date.now();
  const patience = 1000 * model.get("patience");

  const say = () => {
    const trouble = model.get("trouble");
    const silent = asked !== null && Date.now() - asked > patience;
    el.dataset.state = silent ? "silent" : trouble ? "trouble" : "well";
    banner.hidden = !silent && !trouble;
    banner.textContent = silent
      ? `No answer since ${answered.toLocaleTimeString([], { hour12: false })}: what you see is as it was then.`
      : trouble;
    if (silent) revive();
  };
  const here = () => {
    if (document.visibilityState !== "visible") return;
    asked ??= Date.now();
    model.send({ type: "here" });
  };
  // A kiosk has nobody to press "reload": once its server answers again, fetch the page anew.
  const revive = async () => {
    if (!document.body.dataset.voila || Date.now() - tried < patience / 2) return;
    tried = Date.now();
    try {
      const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
      const answer = await fetch(`${base}cryowidgets/static/bokeh/bokeh.min.js`, { method: "HEAD", cache: "no-store" });
      if (answer.ok) location.reload();
    } catch {
      // still gone
    }
  };
  const receive = (message) => {
    if (message.type !== "beat") return;
    asked = null;
    answered = new Date();
    say();
  };
  model.on("msg:custom", receive);
  model.on("change:trouble", say);
  document.addEventListener("visibilitychange", here);
  const timers = [setInterval(here, 1000 * model.get("every")), setInterval(say, patience / 10)];
  signal.addEventListener("abort", () => {
    timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", here);
    model.off("msg:custom", receive);
    model.off("change:trouble", say);
  });
  say();
  here();
}

export default { render };
