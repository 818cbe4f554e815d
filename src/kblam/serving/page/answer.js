// One question and what came back. All text from the server becomes text nodes, never markup.

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// Which language a screen reader and the fonts should take: kana is Japanese, Han characters alone are taken for Chinese.
export function spoken(element, text) {
  if (/[\u3040-\u30ff]/.test(text)) element.lang = "ja";
  else if (/[\u3400-\u9fff]/.test(text)) element.lang = "zh";
  return element;
}

export const percent = (share) => `${Math.round(share * 100)}%`;

export function turn(question, compared) {
  const article = make("article", "turn");
  const header = make("header");
  header.append(spoken(make("p", "", question), question));
  const voices = make("div", compared ? "voices two" : "voices");
  article.append(header, voices);
  const voice = (className, label) => {
    const part = make("div", `voice ${className}`);
    if (label) part.append(make("p", "label", label));
    const said = make("p", "said coming");
    part.append(said);
    voices.append(part);
    return {
      part,
      said,
      hear(piece) {
        said.textContent += piece;
        spoken(said, said.textContent);
      },
      end() {
        said.classList.remove("coming");
      },
      fail(message) {
        said.remove();
        const problem = make("p", "problem", message);
        problem.setAttribute("role", "alert");
        part.append(problem);
      },
    };
  };
  return { article, voice };
}

export function restsOn(voice, about, onFact) {
  const { part, said } = voice;
  if (about.refused) {
    part.classList.add("refused");
    part.append(make("span", "badge no", `Refused: no fact answers this (${percent(1 - about.confidence)} sure)`));
  } else {
    part.append(make("span", "badge", about.corrected ? "Corrected to the stored value" : `${percent(about.confidence)} sure`));
  }
  if (about.citations.length) part.append(citations(about, onFact));
  if (about.attention && !about.refused) part.append(attention(about, said.textContent));
  const { knowledge } = about;
  part.append(make("p", "muted from", `From version ${knowledge.version} of ${knowledge.name}, ${count(knowledge.rows)}`));
}

export const count = (number) => (number === 1 ? "1 fact" : `${number.toLocaleString("en")} facts`);

function citations(about, onFact) {
  const list = make("ol", "facts");
  list.setAttribute("aria-label", about.refused ? "The nearest facts, none of which answers" : "The facts it rests on");
  for (const fact of about.citations) {
    const item = make("li");
    const name = make("div", "name");
    const open = make("button");
    open.type = "button";
    open.title = "Show this fact in the table";
    open.append(make("b", "", fact.entity), ` ${fact.property}`);
    open.addEventListener("click", () => onFact(fact));
    name.append(open, make("span", "share", percent(fact.weight)));
    const bar = make("div", "bar");
    const filled = make("i");
    filled.style.setProperty("--share", fact.weight);
    bar.append(filled);
    item.append(name, bar, spoken(make("div", "value", fact.value), fact.value));
    list.append(item);
  }
  return list;
}

// For each cited fact the answer's tokens, the stronger coloured the more they attend to it.
function attention(about, text) {
  const { tokens, facts, weights } = about.attention;
  const details = make("details", "seen");
  details.append(make("summary", "", "Attention of each token to the facts"));
  const figure = make("figure");
  facts.forEach((number, column) => {
    const fact = about.citations[number];
    const shares = weights.map((row) => row[column]);
    const mean = shares.reduce((sum, share) => sum + share, 0) / (shares.length || 1);
    const block = make("div");
    block.append(make("div", "label", `${fact.entity} · ${fact.property}: ${percent(mean)} on average`));
    const line = spoken(make("div", "tokens"), text);
    tokens.forEach((token, row) => {
      const span = make("span", "", token);
      span.style.setProperty("--share", shares[row]);
      span.title = percent(shares[row]);
      line.append(span);
    });
    block.append(line);
    figure.append(block);
  });
  const scale = make("div", "scale");
  scale.append("0%", make("i"), "100%");
  figure.append(scale);
  details.append(figure);
  return details;
}
