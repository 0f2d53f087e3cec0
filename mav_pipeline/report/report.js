"use strict";

// The table of all masklets, the gallery's controls, and the view of one clip.
//
// Ids and errors come from strangers: they enter the document as text and attributes, never as
// markup. The page's Content-Security-Policy (Trusted Types) would refuse markup anyway.

const PAGE_ROWS = 50; // in the document at once, however many masklets there are

const byId = (id) => document.getElementById(id);
const number = (value) => (value === null ? "" : String(Number(value.toPrecision(3))));
const percent = (value) => (value === null ? "" : `${number(100 * value)}%`);
const clipLink = (key) => `#clip=${encodeURIComponent(key)}`;

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(inflated).json();
}

const pill = (status) => make("span", { class: `pill ${status}` }, status);

// order of two values: ascending, what is missing always last
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return a === b ? 0 : a < b ? -sign : sign;
}

// the table

class Table {
  constructor(set) {
    this.set = set;
    this.form = byId("find");
    const { key, masklet, error } = set.columns;
    this.names = key.map((clip, row) => `${clip} / ${masklet[row] ?? "whole clip"}`);
    this.texts = this.names.map((name, row) => `${name} ${error[row] ?? ""}`.toLowerCase());
    this.order = Uint32Array.from({ length: set.rows }, (_, row) => row);
    this.sorted = { name: null, sign: 1 };
    this.page = 0;
    this.fillSelects();
    this.form.addEventListener("input", () => this.filter());
    this.form.addEventListener("reset", () => setTimeout(() => this.filter()));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("previous").addEventListener("click", () => this.turn(this.page - 1));
    byId("next").addEventListener("click", () => this.turn(this.page + 1));
    byId("heads").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.sort(button.dataset.column);
    });
    this.filter();
  }

  fillSelects() {
    const reasons = new Set(this.set.columns.reasons.flatMap((text) => (text ? text.split(", ") : [])));
    for (const reason of [...reasons].sort()) this.form.reason.append(make("option", {}, reason));
    for (const score of Object.keys(this.set.scores)) this.form.score.append(make("option", {}, score));
    this.form.score.closest("fieldset").hidden = !this.form.score.length;
  }

  // what is shown: name and outcome, sizes, then quality, scores with limits and the one asked for
  columns() {
    const { columns, scores, limits } = this.set;
    const asked = this.form.score.value;
    const names = new Set(["quality", ...limits.map((limit) => limit.score), asked]);
    return [
      { name: "masklet", values: this.names, cell: (name, row) => make("a", { href: clipLink(columns.key[row]) }, name) },
      { name: "status", values: columns.status, cell: pill },
      { name: "reasons", values: columns.reasons, cell: (text) => text },
      { name: "frames", values: columns.visible_frames, cell: number, wide: true },
      { name: "area", values: columns.area, cell: percent, wide: true },
      ...[...names].filter((name) => name in scores)
        .map((name) => ({ name, values: scores[name], cell: number, wide: name !== asked })),
    ];
  }

  filter() {
    const { status, reason, text, score, least, most } = this.form;
    const { columns, scores } = this.set;
    const words = text.value.trim().toLowerCase();
    const low = least.value === "" ? -Infinity : Number(least.value);
    const high = most.value === "" ? Infinity : Number(most.value);
    const values = low > -Infinity || high < Infinity ? scores[score.value] : null;
    this.found = this.order.filter((row) =>
      (!status.value || columns.status[row] === status.value) &&
      (!reason.value || columns.reasons[row].split(", ").includes(reason.value)) &&
      (!words || this.texts[row].includes(words)) &&
      (!values || (values[row] !== null && values[row] >= low && values[row] <= high)));
    this.turn(0);
  }

  sort(name) {
    this.sorted = { name, sign: this.sorted.name === name ? -this.sorted.sign : 1 };
    const { values } = this.columns().find((column) => column.name === name);
    this.order.sort((a, b) => compare(values[a], values[b], this.sorted.sign) || a - b);
    this.filter();
  }

  turn(page) {
    const pages = Math.max(1, Math.ceil(this.found.length / PAGE_ROWS));
    this.page = Math.min(Math.max(0, page), pages - 1);
    byId("previous").disabled = this.page === 0;
    byId("next").disabled = this.page === pages - 1;
    byId("count").value =
      `${this.found.length.toLocaleString("en")} of ${this.set.rows.toLocaleString("en")} rows, ` +
      `page ${this.page + 1} of ${pages}`;
    this.draw();
  }

  draw() {
    const columns = this.columns();
    const className = (column) => (column.wide ? "wide" : "");
    const focused = document.activeElement?.dataset.column;
    byId("heads").replaceChildren(...columns.map((column) => {
      const direction = this.sorted.sign > 0 ? "ascending" : "descending";
      const state = column.name === this.sorted.name ? { "aria-sort": direction } : {};
      return make("th", { scope: "col", class: className(column), ...state },
        make("button", { type: "button", "data-column": column.name }, column.name));
    }));
    if (focused) byId("heads").querySelector(`[data-column="${focused}"]`)?.focus();
    const first = this.page * PAGE_ROWS;
    const rows = this.found.subarray(first, first + PAGE_ROWS);
    byId("rows").replaceChildren(...Array.from(rows, (row) =>
      make("tr", {}, ...columns.map(({ values, cell, wide }) =>
        make("td", { class: wide ? "wide" : "" }, cell(values[row], row))))));
  }
}

// the gallery

function gallery() {
  const form = byId("choose");
  const cards = [...byId("cards").children];
  const places = new Map(cards.map((card, place) => [card, place]));
  const value = (card, name) => (card.dataset[name] === "" ? null : Number(card.dataset[name]));
  form.addEventListener("change", () => {
    const [name, direction] = form.order.value.split(" ");
    const sign = direction === "down" ? -1 : 1;
    cards.sort((a, b) =>
      (name && compare(value(a, name), value(b, name), sign)) || places.get(a) - places.get(b));
    byId("cards").append(...cards);
    for (const card of cards) {
      card.hidden = Boolean((form.group.value && !card.dataset.groups.split(" ").includes(form.group.value)) ||
        (form.status.value && card.dataset.status !== form.status.value));
    }
    byId("shown").value = `${cards.filter((card) => !card.hidden).length} of ${cards.length} masklets`;
  });
}

// the view of a clip

function clipView(set, key) {
  const { columns, scores, limits } = set;
  const rows = columns.key.flatMap((other, row) => (other === key ? [row] : []));
  byId("clip-title").textContent = key;
  if (!rows.length) return [make("p", {}, "There is no such clip in this set.")];
  const first = rows[0];
  const facts = { shard: columns.shard[first] };
  if (columns.width[first] !== null) {
    facts.size = `${columns.width[first]} × ${columns.height[first]}, ${number(columns.fps[first])} fps`;
    facts.frames = `${columns.frames[first]} annotated`;
  }
  const list = make("dl", { class: "facts" }, ...Object.entries(facts)
    .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  const line = (name, cell, limit = "") => {
    const cells = rows.map(cell);
    return cells.every((text) => text === "") ? "" : make("tr", {},
      make("th", { scope: "row" }, name), make("td", {}, limit), ...cells.map((text) => make("td", {}, text)));
  };
  const bounds = (score) => limits.filter((limit) => limit.score === score);
  const allowed = (score) =>
    bounds(score).map((limit) => `${limit.upper ? "max" : "min"} ${number(limit.limit)}`).join(", ");
  const beyond = (score, value) => value !== null &&
    bounds(score).some((limit) => (limit.upper ? value > limit.limit : value < limit.limit));
  const table = make("table", { class: "lines" },
    make("caption", {}, "Its masklets; ✕ marks what lies beyond a limit"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "masklet"), make("th", { scope: "col" }, "limit"),
      ...rows.map((row) => make("th", { scope: "col" }, columns.masklet[row] ?? "whole clip")))),
    make("tbody", {},
      line("status", (row) => pill(columns.status[row])),
      line("reasons", (row) => columns.reasons[row]),
      line("error", (row) => columns.error[row] ?? ""),
      line("visible frames", (row) => number(columns.visible_frames[row])),
      line("area", (row) => percent(columns.area[row])),
      ...Object.entries(scores).map(([score, values]) => line(score, (row) =>
        beyond(score, values[row]) ? make("strong", { class: "beyond" }, `${number(values[row])} ✕`) : number(values[row]),
      allowed(score)))));
  const pictured = [...byId("cards")?.children ?? []].filter((card) => card.dataset.key === key);
  return [list, make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Scores" }, table),
    ...pictured.map(contactSheet)];
}

// a card of the gallery with all its frames below each other
function contactSheet(card) {
  const sheet = card.cloneNode(true);
  sheet.hidden = false;
  sheet.className = "card sheet";
  for (const link of sheet.querySelectorAll("a")) link.replaceWith(link.textContent); // it leads here
  for (const view of sheet.querySelectorAll(".view")) {
    const strip = view.firstElementChild;
    view.setAttribute("viewBox", `0 0 ${strip.getAttribute("width")} ${strip.getAttribute("height")}`);
  }
  return sheet;
}

function route(set) {
  const dialog = byId("clip");
  let key = null;
  try {
    key = location.hash.startsWith("#clip=") ? decodeURIComponent(location.hash.slice(6)) : null;
  } catch (error) {
    if (!(error instanceof URIError)) throw error; // a mangled link
  }
  if (key === null) {
    dialog.close();
    return;
  }
  byId("clip-body").replaceChildren(...clipView(set, key));
  if (!dialog.open) dialog.showModal();
}

async function start() {
  const set = await unpack(byId("packed").textContent);
  for (const node of document.querySelectorAll(".scripted")) node.hidden = false;
  if (byId("find")) new Table(set);
  if (byId("choose")) gallery();
  const dialog = byId("clip");
  byId("clip-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    // Not location.hash: that would jump to the top.
    if (location.hash.startsWith("#clip=")) history.replaceState(null, "", location.pathname + location.search);
  });
  window.addEventListener("hashchange", () => route(set));
  route(set);
  document.documentElement.dataset.ready = "";
}

start();
