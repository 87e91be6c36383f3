"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = () => window.innerWidth < 640;

  // Figures follow the colours of the page.
  const theme = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim();
    const line = style.getPropertyValue("--line").trim();
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
    const themed = { ...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, size: narrow() ? 11 : 13 } };
    themed.modebar = { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: text };
    for (const name of ["xaxis", "yaxis"]) themed[name] = { ...layout[name], ...axis };
    if (layout.scene) {
      themed.scene = { ...layout.scene };
      for (const name of ["xaxis", "yaxis", "zaxis"]) themed.scene[name] = { ...layout.scene[name], ...axis, color: text };
    }
    return themed;
  };

  // On a narrow page the colour bar of a heatmap lies above it. Text in its cells is as large as these allow: all of its
  // lines, else the first, else none.
  const fitted = (data, plot) => {
    const map = data.find((trace) => trace.type === "heatmap" && trace.colorbar);
    if (!map) return data;
    const longest = (texts) => Math.max(0, ...texts.map((text) => text.length));
    const width = (plot.clientWidth - 6 * longest(map.y) - (narrow() ? 70 : 150)) / map.x.length;
    const height = (plot.clientHeight - (narrow() ? 150 : 90)) / map.y.length;
    const written = (trace) => {
      for (const most of [9, 1]) {
        const cells = trace.text.map((text) => text.split("<br>").slice(0, most));
        const size = Math.min(13, width / (0.6 * longest(cells.flat()) + 1), height / (1.4 * longest(cells)));
        if (size >= 9) return [{ ...trace, text: cells.map((lines) => lines.join("<br>")), textfont: { ...trace.textfont, size } }];
      }
      return [];
    };
    const above = { orientation: "h", title: { ...map.colorbar.title, side: "top" }, thickness: 10, x: 0.5, y: 1, yanchor: "bottom", ypad: 6 };
    return data.flatMap((trace) => {
      if (trace.mode === "text") return written(trace);
      return trace === map && narrow() ? [{ ...trace, colorbar: { ...trace.colorbar, ...above } }] : [trace];
    });
  };

  const figures = [...document.querySelectorAll("figure")];
  const draw = (figure) => {
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    const plot = figure.querySelector(".plot");
    return Plotly.react(plot, fitted(data, plot), theme(layout), { responsive: true, displaylogo: false, displayModeBar: narrow() ? false : "hover" });
  };
  const drawAll = () => Promise.all(figures.map(draw)).then(() => { document.documentElement.dataset.drawn = figures.length; });
  drawAll();
  dark.addEventListener("change", drawAll);

  // A click on a heading sorts by it, a second click turns the order around; numbers sort as numbers, blanks last.
  const key = (cell) => {
    if (!cell) return null;
    if (cell.classList.contains("number")) return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    return cell.textContent;
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  };
  for (const table of document.querySelectorAll("table")) {
    const headings = [...table.querySelectorAll("th")];
    headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : down ? compare(b, a) : compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    }));
  }
})();
