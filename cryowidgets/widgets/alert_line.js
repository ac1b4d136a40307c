// What is wrong now: the worst sentences, and how many there are. Who looks at it can open the list of all.
async function render({ model, el, signal }) {
  await listen(model);
  el.classList.add("cw-alerts");
  const draw = () => {
    const [total, worst, more] = ["total", "worst", "more"].map((name) => model.get(name));
    el.dataset.total = total;
    el.hidden = !total;
    el.dataset.level = worst[0]?.level ?? "";
    if (!total) {
      el.replaceChildren();
      return;
    }
    const head = document.createElement("b");
    head.textContent = total === 1 ? "1 alert" : `${total} alerts`;
    const said = worst.map(({ level, text }) => {
      const line = document.createElement("span");
      line.className = "cw-alert";
      line.setAttribute("role", "alert");
      line.dataset.level = level;
      line.textContent = `${level}: ${text}`;
      return line;
    });
    const rest = document.createElement("span");
    rest.className = "cw-alerts-more";
    rest.textContent = more;
    el.replaceChildren(head, ...said, ...(more ? [rest] : []));
    el.classList.toggle("cw-alerts-open", Boolean(more));
    if (more) {
      el.setAttribute("role", "link");
      el.tabIndex = 0;
    } else {
      el.removeAttribute("role");
      el.removeAttribute("tabindex");
    }
    el.title = worst.map(({ text }) => text).join("\n");
  };
  const open = () => model.get("more") && model.send({ type: "tap" });
  const key = (event) => {
    if (event.key === "Enter" || event.key === " ") open(), event.preventDefault();
    event.stopPropagation(); // keys of a notebook mean other things
  };
  for (const name of ["total", "worst", "more"]) model.on(`change:${name}`, draw);
  el.addEventListener("click", open);
  el.addEventListener("keydown", key);
  signal.addEventListener("abort", () => {
    for (const name of ["total", "worst", "more"]) model.off(`change:${name}`, draw);
  });
  draw();
}

export default { render };
