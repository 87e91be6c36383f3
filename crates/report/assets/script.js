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
    for (const name of ["xaxis", "yaxis"]) themed[name] = { ...layout[name], ...axis };
    if (layout.scene) {
      themed.scene = { ...layout.scene };
      for (const name of ["xaxis", "yaxis", "zaxis"]) themed.scene[name] = { ...layout.scene[name], ...axis, color: text };
    }
    return themed;
  };

  const figures = [...document.querySelectorAll("figure")];
  const draw = (figure) => {
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    return Plotly.react(figure.querySelector(".plot"), data, theme(layout), { responsive: true, displaylogo: false, displayModeBar: narrow() ? false : "hover" });
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
