// What the page asks the server for. Every call is to the server that the page came from.

let key = sessionStorage.getItem("kblam-key") || "";
let askForKey = async () => "";

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function onKeyWanted(ask) {
  askForKey = ask;
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    key = await askForKey();
    sessionStorage.setItem("kblam-key", key);
    return call(path, options);
  }
  if (!answer.ok) {
    let message = `The server answered ${answer.status}.`;
    try {
      message = (await answer.json()).error.message;
    } catch { /* not one of the server's own errors */ }
    throw new ServerError(answer.status, message);
  }
  return answer;
}

const json = (body, headers = {}) => ({ body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });
const read = async (path, options) => (await call(path, options)).json();
const of = (base) => `/api/knowledge/${encodeURIComponent(base)}`;
const which = (fact) => new URLSearchParams({ entity: fact.entity, property: fact.property });
const since = (version) => (version === undefined ? {} : { "If-Match": `"${version}"` });

export const bases = () => read("/api/knowledge");
export const facts = (base, first, search) => read(`${of(base)}/facts?${new URLSearchParams({ first, count: 50, search })}`);
export const history = (base) => read(`${of(base)}/history?count=100`);
export const past = (base, fact) => read(`${of(base)}/fact/history?${which(fact)}`);
export const add = (base, fact) => put(base, fact, { "If-None-Match": "*" });
export const replace = (base, fact, version) => put(base, fact, since(version));
export const remove = (base, fact, version) => read(`${of(base)}/fact?${which(fact)}`, { method: "DELETE", headers: since(version) });
export const goBack = (base, version, present) =>
  read(`${of(base)}/rollback`, { method: "POST", ...json({ version }, since(present)) });

function put(base, { entity, property, ...rest }, headers) {
  return read(`${of(base)}/fact?${which({ entity, property })}`, { method: "PUT", ...json(rest, headers) });
}

// Calls onText with each piece of the answer and returns what it rests on.
export async function ask(base, question, options, onText, signal) {
  const answer = await call("/v1/chat/completions", {
    method: "POST",
    signal,
    ...json({ model: base ? `kblam/${base}` : "kblam", stream: true, messages: [{ role: "user", content: question }], kblam: options }),
  });
  let about = null;
  for await (const event of events(answer.body)) {
    if (event.error) throw new ServerError(0, event.error.message);
    const text = event.choices?.[0]?.delta?.content;
    if (text) onText(text);
    about = event.kblam ?? about;
  }
  if (!about) throw new ServerError(0, "The answer broke off; ask again.");
  return about;
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (waiting + value).split(/\r?\n/);
    waiting = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }
}
