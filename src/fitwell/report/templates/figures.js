(() => {
  "use strict";
  const page = getComputedStyle(document.documentElement);

  const painted = (part) => {
    if (typeof part === "string") {
      const colour = /^var\((--.+)\)$/.exec(part);
      return colour ? page.getPropertyValue(colour[1]).trim() : part;
    }
    if (Array.isArray(part)) return part.map(painted);
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, painted(value)]));
  };

  const fitted = { background: null, autosize: { type: "fit-x", contains: "padding" } };

  let drawn = [];
  const draw = async () => {
    drawn.forEach((result) => result.finalize());
    drawn = [];
    const config = { ...painted(LOOK), ...fitted };
    for (const chart of document.querySelectorAll(".chart[data-spec]")) {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      drawn.push(await vegaEmbed(chart, spec, { config, actions: false, renderer: "svg" }));
    }
  };

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
