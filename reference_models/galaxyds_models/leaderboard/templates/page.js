
"use strict";
(function () {
  const select = document.getElementById("dataset");
  const input = document.getElementById("filter");
  const counter = document.getElementById("count");

  function keyOf(row, index) {
    return row.cells[index].dataset.value || "";
  }

  // Rows without a value stay last whichever way the others go.
  function sortBy(table, index, descending, numeric) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const sign = descending ? -1 : 1;
    rows.sort(function (a, b) {
      const first = keyOf(a, index), second = keyOf(b, index);
      if (first === "" || second === "") return (first === "") - (second === "");
      return sign * (numeric ? Number(first) - Number(second) : first.localeCompare(second));
    });
    rows.forEach(function (row) { body.appendChild(row); });
  }

  // The first click puts the best first, the next ones turn the order round.
  function onSort(button) {
    const head = button.closest("th");
    const before = head.getAttribute("aria-sort");
    const best = head.dataset.better === "higher" ? "descending" : "ascending";
    const other = best === "ascending" ? "descending" : "ascending";
    const next = before === best ? other : best;
    head.parentElement.querySelectorAll("th").forEach(function (each) {
      each.removeAttribute("aria-sort");
    });
    head.setAttribute("aria-sort", next);
    sortBy(head.closest("table"), head.cellIndex, next === "descending",
      head.classList.contains("num"));
  }

  function detailsOf(row) {
    return document.querySelector('details[data-row="' + CSS.escape(row.id) + '"]');
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let visible = 0;
    document.querySelectorAll(".dataset").forEach(function (section) {
      section.hidden = select.value !== "" && section.dataset.dataset !== select.value;
      section.querySelectorAll(".board > .scroll tbody > tr").forEach(function (row) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.includes(word); });
        const details = detailsOf(row);
        if (details) details.hidden = row.hidden;
        if (!row.hidden && !section.hidden) visible += 1;
      });
    });
    counter.textContent = visible + (visible === 1 ? " row" : " rows");
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  }

  document.querySelectorAll("thead button").forEach(function (button) {
    button.addEventListener("click", function () { onSort(button); });
  });
  document.getElementById("controls").addEventListener("submit", function (event) {
    event.preventDefault();
  });
  select.addEventListener("change", show);
  input.addEventListener("input", show);
  window.addEventListener("hashchange", openTarget);
  document.getElementById("controls").hidden = false;
  show();
  openTarget();
}());
