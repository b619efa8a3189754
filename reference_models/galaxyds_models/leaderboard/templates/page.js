
"use strict";
(function () {
  const select = document.getElementById("dataset");
  const input = document.getElementById("filter");
  const counter = document.getElementById("count");
  const fold = document.getElementById("without-results");
  let openBefore = null;  // how the reader left the fold, while a filter decides

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

  function filterRows(board, words) {
    let found = 0;
    board.querySelectorAll(":scope > .scroll tbody > tr").forEach(function (row) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(function (word) { return text.includes(word); });
      const details = detailsOf(row);
      if (details) details.hidden = row.hidden;
      if (!row.hidden) found += 1;
    });
    return found;
  }

  // Open while a filter finds something in it, then as the reader left it.
  function showFold(filtered, found) {
    if (!fold) return;
    if (filtered && openBefore === null) openBefore = fold.open;
    fold.hidden = filtered && !found;
    if (filtered) {
      fold.open = found || openBefore;
    } else if (openBefore !== null) {
      fold.open = openBefore;
      openBefore = null;
    }
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let visible = 0;
    let folded = 0;
    document.querySelectorAll(".dataset").forEach(function (section) {
      const chosen = select.value === "" || section.dataset.dataset === select.value;
      let found = 0;
      section.querySelectorAll(".board").forEach(function (board) {
        const rows = filterRows(board, words);
        board.hidden = words.length > 0 && rows === 0;
        found += rows;
      });
      section.hidden = !chosen || (words.length > 0 && found === 0);
      if (section.hidden) return;
      visible += found;
      if (fold && fold.contains(section)) folded += found;
    });
    showFold(words.length > 0 || select.value !== "", folded > 0);
    counter.textContent = visible + (visible === 1 ? " row" : " rows");
  }

  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
    }
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
