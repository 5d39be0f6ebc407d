(() => {
  "use strict";
  const paint = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const look = () => {
    const [ink, soft, line, grid] = ["ink", "soft", "line", "grid"].map(paint);
    const [blue, orange] = [paint("blue"), paint("orange")];
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: null,
      font,
      padding: { left: 2, right: 6, top: 4, bottom: 2 },
      autosize: { type: "fit-x", contains: "padding" },
      view: { stroke: null },
      axis: {
        labelColor: soft, titleColor: soft, domainColor: line, tickColor: line, gridColor: grid,
        labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 8,
        labelFont: font, titleFont: font,
      },
      legend: {
        orient: "top", labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12,
        titleFontWeight: "normal", symbolType: "stroke", symbolStrokeWidth: 3, symbolSize: 220,
        gradientLength: 200, gradientThickness: 10, offset: 8,
      },
      range: { category: [blue, orange], heatmap: { scheme: "viridis" } },
      style: {
        curve: { strokeWidth: 2.2 },
        band: { opacity: 0.22 },
        gap: { color: paint("gap"), opacity: 0.16 },
        kept: { color: ink, strokeDash: [4, 4], strokeWidth: 1.2, opacity: 0.75 },
        seed: { shape: "circle", size: 52, filled: true, color: blue, opacity: 0.55 },
        pair: { color: soft, strokeWidth: 1, opacity: 0.4 },
        average: { color: orange, thickness: 3, size: 24, orient: "vertical", opacity: 1 },
        mean: { shape: "diamond", size: 150, filled: true, color: orange, opacity: 1 },
        interval: { color: orange, strokeWidth: 3 },
        zero: { color: soft, strokeWidth: 1.2 },
        cell: { stroke: null },
        lost: { color: paint("lost") },
        region: { fill: null, stroke: paint("ink"), strokeWidth: 1.8 },
        "region-halo": { fill: null, stroke: paint("card"), strokeWidth: 4.5 },
        nothing: { color: paint("empty") },
        name: { color: ink, fontSize: 12.5, align: "left", baseline: "middle", font },
        halo: {
          color: paint("card"), stroke: paint("card"), strokeWidth: 5, strokeJoin: "round",
          fontSize: 12.5, align: "left", baseline: "middle", font,
        },
      },
    };
  };

  let drawn = [];
  const draw = async () => {
    drawn.forEach((result) => result.finalize());
    drawn = [];
    const config = look();
    for (const chart of document.querySelectorAll(".chart[data-spec]")) {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      drawn.push(await vegaEmbed(chart, spec, { config, actions: false, renderer: "svg" }));
    }
  };

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  // The panels of a figure as one table: they may have other columns, so each row names its panel.
  const tableOf = (figure) => {
    const charts = [...figure.querySelectorAll(".chart[data-spec]")];
    const panels = charts.map((chart) => {
      const spec = JSON.parse(document.getElementById(chart.dataset.spec).textContent);
      const rows = vega.read(spec.datasets.drawn, { type: "csv" });
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

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
