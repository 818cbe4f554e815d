// Puts the page together: asking, the choice of knowledge, the colours, the key.

import { percent, restsOn, turn, make } from "./answer.js";
import * as server from "./server.js";
import * as table from "./table.js";

const $ = (id) => document.getElementById(id);
const THEMES = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
let theme = localStorage.getItem("kblam-theme") ?? "auto";

function paint() {
  document.documentElement.dataset.theme = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
  const told = `Colours: ${theme === "auto" ? "as the system has them" : theme}`;
  $("theme").textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  $("theme").setAttribute("aria-label", told);
  $("theme").title = told;
}

function part(name) {
  document.querySelector("main").dataset.part = name;
  for (const tab of document.querySelectorAll(".tab")) tab.setAttribute("aria-pressed", String(tab.dataset.part === name));
}

async function say(voice, question, options, onEnd) {
  try {
    const about = await server.ask($("base").value, question, options, voice.hear);
    voice.end();
    onEnd(about);
  } catch (error) {
    voice.fail(error.message);
  }
}

async function ask(question) {
  const compared = $("compare").checked;
  const { article, voice } = turn(question, compared);
  $("nothing-asked").hidden = true;
  $("answers").prepend(article);
  const grounded = voice("with", compared ? "With your facts" : "");
  const bare = compared && voice("without", "Without knowledge");
  const asked = [
    say(grounded, question, { grounding: $("grounding").value, attention: true }, (about) => {
      restsOn(grounded, about, showFact);
      const first = about.citations[0];
      const from = first && !about.refused ? `, from ${first.entity}, ${first.property}, ${percent(first.weight)}` : "";
      $("spoken").textContent = `${grounded.said.textContent}${from}`;
    }),
  ];
  if (bare) asked.push(say(bare, question, { grounding: "none" }, () => {}));
  await Promise.all(asked);
}

function showFact(fact) {
  part("knowledge");
  table.find(`${fact.entity} ${fact.property}`);
}

async function start() {
  const { data } = await server.bases();
  $("base").replaceChildren(...data.map((base) => new Option(base.name, base.name)));
  await table.show($("base").value);
  const { data: some } = await server.facts($("base").value, 0, "");
  const questions = some.slice(0, 3).map((fact) => exampleOf(fact));
  $("examples").replaceChildren(...questions.map((question) => {
    const button = make("button", "", question);
    button.type = "button";
    button.addEventListener("click", () => ask(question));
    return button;
  }));
}

function exampleOf({ entity, property }) {
  if (property === "description") return /[\u3400-\u9fff]/.test(entity) ? `${entity}是什么?` : `What is ${entity}?`;
  if (/[\u3040-\u30ff\u3400-\u9fff]/.test(property)) return `${entity}の${property}は？`;
  return `What is the ${property} of ${entity}?`;
}

paint();
system.addEventListener("change", paint);
$("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  localStorage.setItem("kblam-theme", theme);
  paint();
});
for (const tab of document.querySelectorAll(".tab")) tab.addEventListener("click", () => part(tab.dataset.part));
server.onKeyWanted(() => new Promise((resolve) => {
  const form = $("key").querySelector("form");
  form.onsubmit = () => resolve(form.elements.key.value);
  if (!$("key").open) $("key").showModal();
}));
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question) return;
  $("question").value = "";
  ask(question);
});
$("question").addEventListener("keydown", (event) => {
  // While an input method is composing, Enter chooses a word.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});
$("base").addEventListener("change", () => table.show($("base").value));
table.start();
start().catch((error) => table.note(error.message));
