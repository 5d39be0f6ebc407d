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

  let drawn = [], round = 0;
  const draw = async () => {
    const mine = ++round;
    drawn.forEach((result) => result.finalize());
    drawn = [];
    const look = { ...painted(LOOK), ...fitted };
    let shown = performance.now();
    for (const chart of document.querySelectorAll(".chart[data-spec]")) {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      const gradientLength = Math.min(200, chart.clientWidth / 2);
      const config = { ...look, legend: { ...look.legend, gradientLength } };
      drawn.push(await vegaEmbed(chart, spec, { config, actions: false, renderer: "svg" }));
      if (performance.now() - shown > 80) {  // lets the browser show what is drawn, and scroll
        await new Promise((next) => setTimeout(next));
        shown = performance.now();
        if (mine !== round) return;
      }
    }
  };

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const read = (table) => {
    const lines = [[]];
    for (const [, inner, plain, end] of table.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/gy)) {
      lines.at(-1).push(inner?.replaceAll('""', '"') ?? plain);
      if (end === "\n") lines.push([]);
    }
    const [names, ...rows] = lines.slice(0, -1);
    return rows.map((row) => Object.fromEntries(names.map((name, place) => [name, row[place]])));
  };

  // The panels of a figure as one table: they may have other columns, so each row names its panel.
  const tableOf = (figure) => {
    const charts = [...figure.querySelectorAll(".chart[data-spec]")];
    const panels = charts.map((chart) => {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      const rows = read(spec.datasets.drawn);
      return charts.length < 2
        ? rows
        : rows.map((row) => ({ panel: chart.getAttribute("aria-label"), ...row }));
    });
    const rows = panels.flat();
    const columns = [...new Set(rows.flatMap(Object.keys))];
    const lines = rows.map((row) => columns.map((name) => quoted(row[name] ?? "")).join(","));
    return [columns.map(quoted).join(","), ...lines, ""].join("\n");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.csv");
    if (!button) return;
    const link = document.createElement("a");
    const table = new Blob([tableOf(button.closest("figure"))], { type: "text/csv" });
    link.href = URL.createObjectURL(table);
    link.download = `${button.dataset.name.replace(/[^\p{L}\p{N}]+/gu, "-").toLowerCase()}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // Printing does not wait for a new drawing: colours of the dark scheme are exchanged in place.
  const lighten = () => {
    const light = new Map();
    for (const [name, colour] of Object.entries(PALETTES.dark)) {
      if (!light.has(colour)) light.set(colour, PALETTES.light[name]);
    }
    for (const part of document.querySelectorAll(".chart svg [fill], .chart svg [stroke]")) {
      for (const name of ["fill", "stroke"]) {
        const other = light.get(part.getAttribute(name));
        if (other) part.setAttribute(name, other);
      }
    }
  };

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened = opened.filter((part) => !part.closest(".numbers"));
    opened.forEach((part) => (part.open = true));
    if (dark.matches) lighten();
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((part) => (part.open = false));
    if (dark.matches) draw();
  });

  for (const change of ["(prefers-color-scheme: dark)", "(max-width: 34rem)"]) {
    window.matchMedia(change).addEventListener("change", draw);
  }
  draw();
})();
