"use strict";
/* A classifier of texts in the page: what it answers, each word's share, and its gates word by word. */
const { program, kind, classes, scale, networks, parts, shares, samples, scripts, longest } = data;
network.ask("load", program);
const reader = makeReader(data.words);
const places = new Int32Array(1 + WORD_ROWS + CHARACTER_ROWS); // of n-grams that training had; 0 of all others
decodeGaps(data.rows).forEach((number, place) => { places[number] = place + 1; });

const signed = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
const points = (value) => (kind === "classes" ? signed(100 * value, 1) : signed(value));
const tint = (value) => `background:color-mix(in srgb, var(--${value < 0 ? "warm" : "accent"}) ${Math.round(45 * Math.min(1, Math.abs(value)))}%, var(--page))`;

// --- what the program is given --------------------------------------------------------------------------------------

const vector = (numbers) => engine.tensor([numbers.length], Float32Array.from(numbers));

function encode(text) {
  const cut = reader.tokens(text).slice(0, longest), numbers = reader.numbers(cut);
  return { cut, numbers, inputs: [vector(numbers), vector(reader.grams(text).map((number) => places[number]))] };
}

// --- what the outputs mean ------------------------------------------------------------------------------------------

// Returns the shares of the classes or levels, the answer, and what words add to: a probability, or a rating.
function read(outputs, chosen = null) {
  if (kind === "classes") {
    const all = softmax(outputs), best = chosen ?? all.indexOf(Math.max(...all));
    return { all, best, said: classes[best], value: all[best] };
  }
  if (kind === "number") {
    const value = Math.min(scale.high, Math.max(scale.low, scale.mean + scale.std * outputs[0]));
    return { all: [], best: 0, said: value.toPrecision(3), value };
  }
  const above = [1]; // probabilities that the rating is at each level or higher, in order
  outputs.forEach((each) => above.push(Math.min(above[above.length - 1], engine.activations.sigmoid(each))));
  const all = above.map((each, level) => each - (above[level + 1] ?? 0));
  const median = above.reduce((best, each, level) => (level && each > 0.5 ? level : best), 0);
  return { all, best: median, said: classes[median], value: all.reduce((sum, share, level) => sum + share * Number(classes[level]), 0) };
}

// --- what it answers ------------------------------------------------------------------------------------------------

let now = null; // the text with what was found of it

function update() {
  const text = find("text").value, asked = { text, ...encode(text), added: [] };
  network.ask("run", asked.inputs, (steps, milliseconds) => {
    if (!now) performance.mark("answered");
    now = { ...asked, steps, milliseconds, answer: read(steps[steps.length - 1].data) };
    showAnswer();
    showInside();
    leaveOut(now);
  });
}

function showAnswer() {
  const { answer, steps, cut, numbers, milliseconds, text } = now;
  find("verdict").textContent = kind === "classes" ? say("said", { name: answer.said, share: percent(answer.value) }) : say("rated", { value: answer.said });
  bars("answers", answer.all.map((share, c) => [classes[c], share]), percent, 1, 20);
  find("speed").textContent = say("speed", { milliseconds: milliseconds.toFixed(1) });
  const sample = samples.find((each) => each.text === text);
  find("truth").textContent = sample ? say("truth", { name: sample.truth }) : "";
  const members = networks.length;
  bars("parts", parts.map((step, part) => {
    const name = part < members ? say("part-network", { number: part + 1 }) : say(`part-${program.steps[step].name}`);
    return [`${name} (${Math.round(100 * shares[part])}\u00a0%)`, read(steps[step].data, answer.best).value];
  }), kind === "classes" ? percent : (value) => value.toPrecision(3), kind === "classes" ? 1 : Math.max(Math.abs(scale.low), Math.abs(scale.high)), 40);
  find("note").textContent = judgeText(text, cut, numbers);
  showWords();
}

const SCRIPTS = {
  HANGUL: "Hangul", LATIN: "Latin", CJK: "Han", HIRAGANA: "Hiragana", KATAKANA: "Katakana", CYRILLIC: "Cyrillic", GREEK: "Greek",
  ARABIC: "Arabic", HEBREW: "Hebrew", THAI: "Thai", DEVANAGARI: "Devanagari",
};

// Says so where the text is none that the run can know: empty, or in another script than its training texts.
function judgeText(text, cut, numbers) {
  if (!cut.length) return say("empty");
  const letters = text.normalize("NFC").match(/\p{L}/gu) ?? [];
  for (const [name, script] of Object.entries(SCRIPTS)) {
    const has = new RegExp(`\\p{Script=${script}}`, "u");
    if (letters.filter((letter) => has.test(letter)).length > letters.length / 2 && (scripts[name] ?? 0) < 0.01) {
      return say(name === "HANGUL" ? "script-korean" : "script", { script });
    }
  }
  return numbers.every((number) => number === 1) ? say("all-unknown") : "";
}

// --- what each word adds --------------------------------------------------------------------------------------------

// Leaves out one token after the other, as `explain --method occlusion` does: a token's share is what the value lost.
function leaveOut(asked) {
  const { cut } = asked, { between } = reader, AT_ONCE = 4;
  if (!cut.length || cut.length > 300) return;
  const values = [];
  const next = (start) => {
    if (now !== asked) return;
    const some = Array.from({ length: Math.min(AT_ONCE, cut.length + 1 - start) }, (_, i) => start + i - 1);
    const texts = some.map((row) => cut.filter((_, place) => place !== row).join(between)); // row -1: all of them
    network.ask("each", texts.map((text) => encode(text).inputs), (found) => {
      if (now !== asked) return;
      found.forEach((each) => values.push(read(each.data, asked.answer.best).value));
      if (values.length <= cut.length) return next(values.length);
      asked.added = values.slice(1).map((value) => values[0] - value);
      showWords();
    });
  };
  next(0);
}

function showWords() {
  const { cut, numbers, added, answer } = now;
  const largest = Math.max(...added.map(Math.abs), 1e-9);
  find("words-note").textContent = say(kind === "classes" ? "words-note" : "words-note-rating", { name: answer.said });
  find("words").replaceChildren(...cut.map((token, place) => {
    const value = added[place], isUnknown = numbers[place] === 1;
    const style = `padding:.15rem .5rem;border-radius:6px;text-align:center;border:1px ${isUnknown ? "dashed var(--warm)" : "solid var(--line)"};${value === undefined ? "" : tint(value / largest)}`;
    const shown = token.trim() ? token : "␣";
    return make("li", { style }, make("span", {}, shown, ...(isUnknown ? [make("sup", { "aria-label": say("unknown-word"), role: "img" }, "?")] : [])),
      make("br"), make("span", { style: "font-size:.8rem;font-variant-numeric:tabular-nums" }, value === undefined ? "…" : points(value)));
  }));
  const count = numbers.filter((number) => number === 1).length;
  find("unknown").textContent = count ? say(shares.length > networks.length ? "unknown-grams" : "unknown", { count, all: cut.length }) : "";
}

samples.forEach(({ text, truth }) => {
  const button = make("button", { type: "button", style: "text-align:left", onclick: () => { find("text").value = text; update(); } }, make("strong", {}, truth), ` ${text}`);
  find("samples").append(button);
});
find("text").addEventListener("input", update);

// --- its gates, word by word ----------------------------------------------------------------------------------------

const chosen = { member: 0, step: networks.length ? networks[0][0][0] : -1, gate: "hidden", unit: -1, token: 0 };
const SIGNS = { input: "i", forget: "f", candidate: "g", output: "o", reset: "r", update: "z", cell: "c", hidden: "h" };
const signOf = (name, cell) => (name === "candidate" && cell !== "lstm" ? "n" : SIGNS[name]);
find("inside").hidden = !networks.length;

function fill(id, rows, value) {
  find(id).replaceChildren(...rows.map(([key, text]) => make("option", { value: key, selected: String(key) === String(value) }, text)));
}

function showInside() {
  if (!networks.length || !now) return;
  const layers = networks[chosen.member];
  if (!layers.flat().includes(chosen.step)) chosen.step = layers[0][0];
  const { operation, attributes } = program.steps[chosen.step], found = now.steps[chosen.step];
  const rows = [...found.names, ...(operation === "lstm" ? ["cell"] : []), "hidden"];
  if (!rows.includes(chosen.gate)) chosen.gate = "hidden";
  fill("network", networks.map((_, member) => [member, String(member + 1)]), chosen.member);
  fill("direction", layers.flatMap((steps, layer) => steps.map((step, place) => {
    const way = say(place ? "leftward" : "rightward");
    return [step, layers.length > 1 ? say("layer", { number: layer + 1, way }) : way];
  })), chosen.step);
  fill("gate", rows.map((name) => [name, `${signOf(name, operation)}: ${say(`gate-${name}`)}`]), chosen.gate);
  const [steps, size] = found.shape;
  chosen.token = Math.min(chosen.token, Math.max(0, steps - 1));
  if (chosen.unit < 0 && steps) chosen.unit = findLiveliest(found.trace.hidden, steps, size);
  showMap(found.trace[chosen.gate], steps, size);
  showTable(rows, found, operation, attributes.leftward);
}

// The unit whose hidden state goes farthest from word to word.
function findLiveliest(hidden, steps, size) {
  const ranges = Array.from({ length: size }, (_, unit) => {
    const values = Array.from({ length: steps }, (_, t) => hidden[t * size + unit]);
    return Math.max(...values) - Math.min(...values);
  });
  return ranges.indexOf(Math.max(...ranges));
}

// A gate of all units (rows) at all words (columns), the chosen one framed.
function showMap(values, steps, size) {
  const canvas = find("map"), wide = 16, high = Math.max(3, Math.min(8, Math.floor(256 / size)));
  const turned = new Float32Array(steps * size);
  for (let t = 0; t < steps; t++) for (let unit = 0; unit < size; unit++) turned[unit * steps + t] = -values[t * size + unit]; // so that blue is above zero, as in the table
  const small = document.createElement("canvas");
  const isShare = ["input", "forget", "output", "reset", "update"].includes(chosen.gate); // from 0 to 1
  drawMap(small, turned, Math.max(1, steps), size, isShare ? 1 : turned.reduce((best, value) => Math.max(best, Math.abs(value)), 0));
  canvas.width = Math.max(1, steps) * wide;
  canvas.height = size * high;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.strokeStyle = "#fff";
  context.strokeRect(chosen.token * wide + 0.5, chosen.unit * high + 0.5, wide - 1, high - 1);
}

const choose = (changes) => { Object.assign(chosen, changes); showInside(); };

function showTable(rows, found, operation, leftward) {
  const { cut } = now, [, size] = found.shape, unit = Math.max(0, chosen.unit);
  const cell = (name, token) => found.trace[name][token * size + unit];
  find("unit-title").textContent = say("unit", { number: unit + 1, size });
  const reach = Math.max(1, ...rows.flatMap((name) => cut.map((_, token) => Math.abs(cell(name, token)))));
  const head = make("tr", {}, make("td"), ...cut.map((token, place) => make("th", { scope: "col", style: `padding:.1rem .3rem;font-weight:${place === chosen.token ? 700 : 400}` }, token.trim() || "␣")));
  const body = rows.map((name) => make("tr", {}, make("th", { scope: "row", style: "text-align:left;padding:.1rem .3rem;white-space:nowrap;font-weight:400" }, `${signOf(name, operation)} ${say(`gate-${name}`)}`),
    ...cut.map((token, place) => {
      const value = cell(name, place), picked = name === chosen.gate && place === chosen.token;
      const style = `font:inherit;padding:.1rem .3rem;width:100%;border-radius:3px;border:1px solid ${picked ? "var(--text)" : "transparent"};${tint(value / reach)}`;
      const label = `${token} ${say(`gate-${name}`)} ${value.toFixed(3)}`;
      return make("td", { style: "padding:1px" }, make("button", { type: "button", style, tabindex: picked ? 0 : -1, "aria-label": label, "aria-pressed": String(picked), "data-gate": name, "data-token": place, onclick: () => choose({ gate: name, token: place }) }, value.toFixed(2).replace("-", "−")));
    })));
  const hasFocus = find("table").contains(document.activeElement);
  find("table").replaceChildren(head, ...body);
  if (hasFocus) find("table").querySelector("[tabindex='0']")?.focus();
  find("formula").textContent = cut.length ? explainCell(found, operation, leftward) : "";
}

// The formula of the chosen number, with its numbers.
function explainCell(found, operation, leftward) {
  const { gate, token, unit } = chosen, [steps, size] = found.shape, last = leftward ? token + 1 : token - 1;
  const text = (value) => value.toFixed(3).replace("-", "−");
  const at = (name, t = token) => (t < 0 || t >= steps ? 0 : found.trace[name][t * size + unit]);
  const place = found.names.indexOf(gate), row = (token * found.names.length + place) * size + unit;
  const value = text(at(gate)), sign = signOf(gate, operation);
  const formula = () => {
    if (place >= 0) {
      const a = text(found.fromInput[row]), u = text(found.fromState[row]), change = gate === "candidate" ? "tanh" : "σ";
      if (operation === "gru" && gate === "candidate") return `n = tanh(a + r·u) = tanh(${a} + ${text(at("reset"))} · ${u}) = ${value}`;
      return `${sign} = ${change}(a + u) = ${change}(${a} + ${u}) = ${value}`;
    }
    if (gate === "cell") return `c = f·c′ + i·g = ${text(at("forget"))} · ${text(at("cell", last))} + ${text(at("input"))} · ${text(at("candidate"))} = ${value}`;
    if (operation === "lstm") return `h = o·tanh(c) = ${text(at("output"))} · tanh(${text(at("cell"))}) = ${value}`;
    if (operation === "gru") return `h = (1 − z)·n + z·h′ = (1 − ${text(at("update"))}) · ${text(at("candidate"))} + ${text(at("update"))} · ${text(at("hidden", last))} = ${value}`;
    return `h = n = ${value}`;
  };
  return `${say(`gate-${gate}`)}, “${now.cut[token]}”: ${formula()}. ${say("terms")}`;
}

find("network").addEventListener("change", ({ target }) => {
  const member = Number(target.value), place = networks[chosen.member].flat().indexOf(chosen.step);
  choose({ member, step: networks[member].flat()[place] });
});
find("direction").addEventListener("change", ({ target }) => choose({ step: Number(target.value) }));
find("gate").addEventListener("change", ({ target }) => choose({ gate: target.value }));

// Arrow keys go to other words and units (on the map), or to other words and gates (in the table).
const size = () => now.steps[chosen.step].shape[1];
const within = (value, count) => Math.min(count - 1, Math.max(0, value));
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
find("map").addEventListener("keydown", (event) => {
  if (!STEPS[event.key] || !now) return;
  event.preventDefault();
  const [down, right] = STEPS[event.key];
  choose({ unit: within(chosen.unit + down, size()), token: within(chosen.token + right, now.cut.length) });
});
find("map").addEventListener("click", ({ target, clientX, clientY }) => {
  const { left, top, width, height } = target.getBoundingClientRect();
  choose({ token: within(Math.floor(((clientX - left) / width) * now.cut.length), now.cut.length), unit: within(Math.floor(((clientY - top) / height) * size()), size()) });
});
find("table").addEventListener("keydown", (event) => {
  if (!STEPS[event.key]) return;
  event.preventDefault();
  const [down, right] = STEPS[event.key], names = Array.from(find("gate").options, (option) => option.value);
  choose({ gate: names[within(names.indexOf(chosen.gate) + down, names.length)], token: within(chosen.token + right, now.cut.length) });
});

changed.push(() => { if (now) { showAnswer(); showInside(); } });
find("text").value = samples.length ? samples[0].text : "";
update();
