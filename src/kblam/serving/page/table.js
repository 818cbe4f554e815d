// The table of facts: look, search, add, edit, remove, history, undo.

import { count, make, spoken } from "./answer.js";
import * as server from "./server.js";

const $ = (id) => document.getElementById(id);
const state = { base: "", version: undefined, shown: 0, search: "", undo: null, editing: null, call: 0 };

export async function show(base) {
  state.base = base;
  await reload();
}

export async function find(text) {
  $("search").value = text;
  state.search = text;
  await reload();
}

async function reload(changed = null) {
  const call = ++state.call;
  const page = await server.facts(state.base, 0, state.search);
  if (call !== state.call) return; // a later search has been answered already
  $("facts").replaceChildren();
  state.shown = 0;
  append(page, changed);
}

function append(page, changed) {
  state.version = page.version;
  for (const fact of page.data) $("facts").append(row(fact, changed));
  state.shown += page.data.length;
  const total = page.total ?? state.shown;
  if (page.total !== null) $("count").textContent = `${count(page.total)}, version ${page.version}`;
  $("more").hidden = page.data.length < 50 || state.shown >= total && page.total !== null;
  $("no-facts").hidden = state.shown > 0;
  $("no-facts").textContent = state.search ? "No fact holds all of these words." : "There are no facts yet. Add the first one.";
}

function row(fact, changed) {
  const line = make("tr");
  if (changed && changed.entity === fact.entity && changed.property === fact.property) line.className = "new";
  const name = make("th");
  name.scope = "row";
  name.append(spoken(make("b", "", fact.entity), fact.entity), " ", spoken(make("span", "", fact.property), fact.property));
  const value = make("td", "held");
  const text = spoken(make("div", "value-text", fact.value), fact.value);
  text.title = fact.value;
  value.append(text);
  const acts = make("td", "acts");
  const which = `the ${fact.property} of ${fact.entity}`;
  acts.append(button("Edit", `Edit ${which}`, () => edit(fact)), button("Remove", `Remove ${which}`, () => remove(fact)));
  line.append(name, value, acts);
  return line;
}

function button(text, label, act) {
  const made = make("button", "", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

export function note(text, undo = null) {
  state.undo = undo;
  $("note-text").textContent = text;
  $("undo").hidden = !undo;
  $("note").hidden = false;
}

async function changed(what, result, fact = null) {
  // One step back is the version before this change; if somebody changed more since, the server refuses.
  note(`${what} (version ${result.version})`, { to: result.version - 1, from: result.version });
  await reload(fact);
}

async function guarded(act) {
  try {
    await act();
  } catch (error) {
    note(error.message);
    if (error.status === 412) await reload();
  }
}

const remove = (fact) =>
  guarded(async () => changed(`Removed the ${fact.property} of ${fact.entity}`, await server.remove(state.base, fact, state.version)));

const undo = () =>
  guarded(async () => {
    const { to, from } = state.undo;
    const result = await server.goBack(state.base, to, from);
    note(`Undone (version ${result.version})`);
    await reload();
  });

function edit(fact) {
  const form = $("editor").querySelector("form");
  state.editing = fact && { ...fact, since: state.version };
  $("editor-title").textContent = fact ? "Edit the fact" : "Add a fact";
  $("editor-problem").hidden = true;
  for (const name of ["entity", "property", "value"]) form.elements[name].value = fact?.[name] ?? "";
  form.elements.aliases.value = fact?.aliases.join("\n") ?? "";
  form.elements.entity.readOnly = form.elements.property.readOnly = Boolean(fact);
  $("past").hidden = !fact;
  $("past").open = false;
  $("editor").showModal();
  form.elements[fact ? "value" : "entity"].focus();
}

async function showPast() {
  if (!$("past").open || !state.editing) return;
  const { data } = await server.past(state.base, state.editing);
  const items = data.reverse().map((fact) => {
    const item = make("li");
    const text = spoken(make("span", "", fact.value), fact.value);
    const until = fact.ended === null ? "now" : fact.ended - 1;
    text.append(make("small", "", `versions ${fact.began} to ${until}`));
    item.append(text);
    if (fact.ended !== null) {
      item.append(button("Use", "Use this value again", () => {
        $("editor").querySelector("form").elements.value.value = fact.value;
      }));
    }
    return item;
  });
  $("past-values").replaceChildren(...items);
}

async function save(event) {
  event.preventDefault();
  const { entity, property, value, aliases } = Object.fromEntries(new FormData(event.target));
  const fact = { entity, property, value, aliases: aliases.split("\n").map((name) => name.trim()).filter(Boolean) };
  if (state.editing?.id) fact.id = state.editing.id;
  try {
    const { editing, base } = state;
    const result = editing ? await server.replace(base, fact, editing.since) : await server.add(base, fact);
    $("editor").close();
    await changed(editing ? "Saved" : "Added", result, fact);
  } catch (error) {
    $("editor-problem").textContent = error.message;
    $("editor-problem").hidden = false;
    if (error.status === 412) await reload();
  }
}

async function showHistory() {
  const { data } = await server.history(state.base);
  const items = data.map((version, index) => {
    const item = make("li");
    const text = make("span", "", `Version ${version.version}: ${described(version)}`);
    text.append(make("small", "", new Date(version.time).toLocaleString()));
    item.append(text);
    if (index > 0) {
      item.append(button("Go back", `Go back to version ${version.version}`, () => guarded(async () => {
        $("history").close();
        await changed(`Back to version ${version.version}`, await server.goBack(state.base, version.version, data[0].version));
      })));
    } else item.append(make("span", "muted", "now"));
    return item;
  });
  $("versions").replaceChildren(...items);
  $("history").showModal();
}

function described(version) {
  const parts = ["added", "replaced", "removed"].filter((what) => version[what]).map((what) => `${version[what]} ${what}`);
  const what = version.action + (version.note ? ` (${version.note})` : "");
  return parts.length ? `${what}, ${parts.join(", ")}` : what;
}

export function start() {
  let pause;
  $("search").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => guarded(() => find($("search").value)), 150);
  });
  $("more").addEventListener("click", () => guarded(async () => append(await server.facts(state.base, state.shown, state.search))));
  $("add").addEventListener("click", () => edit(null));
  $("show-history").addEventListener("click", () => guarded(showHistory));
  $("undo").addEventListener("click", undo);
  $("note-close").addEventListener("click", () => { $("note").hidden = true; });
  $("past").addEventListener("toggle", showPast);
  $("editor").querySelector("form").addEventListener("submit", save);
  for (const close of document.querySelectorAll("[data-close]")) {
    close.addEventListener("click", () => close.closest("dialog").close());
  }
}
