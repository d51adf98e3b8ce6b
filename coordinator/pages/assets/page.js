// Keeps the page as it is on the coordinator. Without it the page is whole too, and stands still.
"use strict";

const QUIET_MS = 15000; // three beats: by then silence is a dead connection
const AGAIN_MS = 5000;
const byId = (id) => document.getElementById(id);
const live = byId("live");
let heard = Date.now();

function say(state, words) {
  document.documentElement.className = state;
  if (live.textContent !== words) live.textContent = words;
}

function parsed(html) {
  // A table's row is nothing outside of a table, unless it stands in a template.
  const template = document.createElement("template");
  template.innerHTML = html; // the server has escaped what machines call themselves
  return template.content.firstElementChild;
}

// Makes `old` like `fresh` in place, so that focus, selection and scrolling stay where they are.
function become(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [had, has] = [[...old.childNodes], [...fresh.childNodes]];
  has.forEach((child, at) => (at < had.length ? become(had[at], child) : old.append(child)));
  had.slice(has.length).forEach((child) => child.remove());
}

function order(container, ids, fresh) {
  const wanted = new Set(ids);
  for (const child of [...container.children]) if (!wanted.has(child.id)) child.remove();
  ids.forEach((id, at) => {
    const there = container.children[at];
    if (there && there.id === id) return;
    container.insertBefore(byId(id) || fresh.get(id), there || null);
  });
}

function changed({ parts, orders }) {
  const fresh = new Map();
  for (const [id, html] of Object.entries(parts)) {
    const [old, made] = [byId(id), parsed(html)];
    if (old) become(old, made);
    else fresh.set(id, made);
  }
  for (const [name, ids] of Object.entries(orders)) order(byId(name), ids, fresh);
  find();
}

function find() {
  const wanted = byId("wanted").value.trim().toLowerCase();
  const rows = [...byId("nodes").rows];
  let shown = 0;
  for (const row of rows) {
    const fits = !wanted || row.textContent.toLowerCase().includes(wanted);
    if (row.hidden === fits) row.hidden = !fits;
    if (fits) shown += 1;
  }
  byId("find").hidden = rows.length < 8;
  const told = wanted ? `${shown} of ${rows.length}` : "";
  if (byId("found").textContent !== told) byId("found").textContent = told;
}

function follow() {
  const events = new EventSource(`/events?${document.body.dataset.tag}`);
  const hear = () => {
    heard = Date.now();
    say("live", "live");
  };
  events.onopen = hear;
  events.addEventListener("beat", hear);
  events.addEventListener("changed", (event) => {
    hear();
    changed(JSON.parse(event.data));
  });
  events.addEventListener("reload", () => location.reload());
  events.onerror = () => {
    say("cut", "not connected, trying again");
    // A browser tries again by itself, but not after a refusal: too many pages, or no coordinator.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN_MS);
  };
}

setInterval(() => {
  if (Date.now() - heard > QUIET_MS) say("cut", "no news from the coordinator");
}, 1000);
byId("wanted").addEventListener("input", find);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input") && !byId("find").hidden) {
    event.preventDefault();
    byId("wanted").focus();
  }
});
find();
follow();
