// Tables of class `sortable`: a click on a heading sorts, another one turns round. A cell may bear its value in data-value.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const number = (text) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));

  headings.forEach((heading, column) => {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = heading.ariaSort === "ascending";
      const rows = [...body.rows].map((row) => [row, value(row, column)]);
      const numeric = rows.every(([, text]) => text === "" || text === "\u2013" || number(text) !== null);
      const empty = (text) => text === "" || text === "\u2013";
      rows.sort(([, a], [, b]) => {
        if (empty(a) || empty(b)) return empty(a) - empty(b);
        const order = numeric ? number(a) - number(b) : a.localeCompare(b, undefined, { numeric: true });
        return falling ? -order : order;
      });
      body.append(...rows.map(([row]) => row));
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    });
  });
}
