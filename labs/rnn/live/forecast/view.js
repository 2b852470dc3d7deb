"use strict";
/* A forecaster in the page: a window that one drags over a series, and what it foretells beside simple methods. */
const { program, window: length, horizon, log, difference, levels, middle, period, dates, series, testFrom } = data;
network.ask("load", program);

const chosen = { series: 0, origin: Math.max(series[0].first, testFrom) };
let now = null; // what was found of the chosen origin

// --- what the network is given, and what it says --------------------------------------------------------------------

const known = (each) => { let end = each.values.length; while (end && each.values[end - 1] === null) end--; return end - 1; }; // its last place
const inUnit = (value) => (log ? Math.log(value) : value), outOfUnit = (value) => (log ? Math.exp(value) : value);

// (g(value) - offset) / factor, where g is the logarithm or nothing; see labs/rnn/forecast/scaling.py
function scaleWindow({ values, center, factor }, origin) {
  const seen = values.slice(origin - length + 1, origin + 1).map(inUnit);
  const offset = difference ? seen[length - 1] : center;
  return { offset, input: engine.tensor([length], Float32Array.from(seen, (value) => (value - offset) / factor)) };
}

// Rows of rising quantiles, in the unit of the series, of what the network says.
function unscale(outputs, { factor }, offset) {
  const each = outputs.length / horizon;
  return Array.from({ length: horizon }, (_, step) =>
    Array.from(outputs.subarray(step * each, (step + 1) * each)).sort((a, b) => a - b).map((value) => outOfUnit(value * factor + offset)));
}

// What was at the same place of the last season that is known.
const seasonal = ({ values }, origin) => Array.from({ length: horizon }, (_, i) => values[origin + i + 1 - period * Math.ceil((i + 1) / period)] ?? null);

function update() {
  const each = series[chosen.series], { origin } = chosen, { offset, input } = scaleWindow(each, origin);
  network.ask("answer", input, (found, milliseconds) => {
    const rows = unscale(found.data, each, offset), last = known(each);
    now = {
      each, origin, rows, last, milliseconds,
      forecast: rows.map((row) => row[middle]),
      truth: rows.map((_, i) => each.values[origin + i + 1] ?? null),
      persistence: rows.map(() => each.values[origin]),
      season: seasonal(each, origin),
    };
    show();
  });
}

function move(origin) {
  const each = series[chosen.series];
  chosen.origin = Math.min(known(each), Math.max(each.first, origin));
  originSlider.input.value = chosen.origin;
  originSlider.shown.textContent = dates[chosen.origin];
  update();
}

// --- what is shown --------------------------------------------------------------------------------------------------

const number = (value) => (value === null ? "–" : value.toLocaleString(language, { maximumSignificantDigits: 5 }));
const LINES = { truth: ["--text", []], forecast: ["--accent", []], persistence: ["--soft", [6, 4]], season: ["--warm", [2, 3]] };
const nameOf = (line) => say(`line-${line}`, { period });
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function show() {
  const { origin, last, rows, milliseconds } = now, part = origin >= testFrom ? "origin-test" : "origin-validation";
  find("origin-text").textContent = say(origin === last ? "origin-end" : part, { date: dates[origin], first: dates[origin - length + 1] });
  find("window-note").textContent = say("window-note", { length, horizon });
  if (data.seriesLeftOut) find("window-note").textContent += ` ${say("left-out", { count: series.length, more: data.seriesLeftOut })}`;
  find("by").textContent = say("by", { by: data.by });
  find("speed").textContent = say("speed", { milliseconds: milliseconds.toFixed(1) });
  find("legend").replaceChildren(...Object.entries(LINES).map(([line, [hue, dash]]) =>
    make("li", {}, make("span", { "aria-hidden": "true", style: `display:inline-block;width:1.6rem;border-top:3px ${dash.length ? (dash[0] > 3 ? "dashed" : "dotted") : "solid"} var(${hue});vertical-align:middle;margin-right:.4rem` }), nameOf(line))));
  showErrors();
  showNumbers(rows);
  drawOverview();
  drawPlot();
}

function showErrors() {
  const { truth, rows } = now, places = truth.flatMap((value, i) => (value === null ? [] : [i]));
  const errors = ["forecast", "persistence", "season"].flatMap((line) => {
    if (places.some((i) => now[line][i] === null)) return [];
    return [[nameOf(line), places.reduce((sum, i) => sum + Math.abs(now[line][i] - truth[i]), 0) / places.length]];
  });
  find("errors-note").textContent = places.length ? say("errors-note", { count: places.length }) : say("errors-none");
  bars("errors", places.length ? errors : [], number, Math.max(...errors.map((each) => each[1])));
  if (!levels.length) { find("interval").textContent = say("no-interval"); return; }
  const inside = places.filter((i) => truth[i] >= rows[i][0] && truth[i] <= rows[i][levels.length - 1]).length;
  const share = Math.round(100 * (levels[levels.length - 1] - levels[0]));
  find("interval").textContent = say("interval", { share, inside, count: places.length });
}

function showNumbers(rows) {
  const bounds = levels.length ? [["low", rows.map((row) => row[0])], ["high", rows.map((row) => row[row.length - 1])]] : [];
  const [truth, own, ...simple] = Object.keys(LINES).map((line) => [nameOf(line), now[line]]);
  const columns = [truth, own, ...bounds.map(([name, values]) => [say(name), values]), ...simple];
  const cell = "padding:.1rem .4rem;text-align:right";
  find("numbers").replaceChildren(
    make("tr", {}, make("td"), ...columns.map(([name]) => make("th", { scope: "col", style: `${cell};font-weight:400` }, name))),
    ...rows.map((_, i) => make("tr", {}, make("th", { scope: "row", style: `${cell};font-weight:400` }, dates[now.origin + i + 1]), ...columns.map(([, values]) => make("td", { style: cell }, number(values[i]))))));
}

// A canvas in the pixels of the screen, with how places and values lie on it.
function prepare(id, from, to, values, edge) {
  const canvas = find(id), ratio = devicePixelRatio || 1, { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, width * ratio);
  canvas.height = Math.max(1, height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const there = values.filter((value) => Number.isFinite(value)), low = Math.min(...there), high = Math.max(...there);
  const x = (place) => edge + ((place - from) / Math.max(1, to - from)) * (width - edge - 8);
  const y = (value) => height - 22 - ((value - low) / (high - low || 1)) * (height - 34);
  return { context, width, height, low, high, x, y };
}

function trace({ context, x, y }, begin, values, hue, dash = [], thick = 1.5) {
  context.strokeStyle = color(hue);
  context.lineWidth = thick;
  context.setLineDash(dash);
  context.beginPath();
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) { pen = false; return; }
    context[pen ? "lineTo" : "moveTo"](x(begin + i), y(value));
    pen = true;
  });
  context.stroke();
  context.setLineDash([]);
}

function write(context, text, x, y, align = "left") {
  context.fillStyle = color("--soft");
  context.font = "12px sans-serif";
  context.textAlign = align;
  context.fillText(text, x, y);
}

function drawOverview() {
  const { each, origin } = now, last = dates.length - 1;
  const on = prepare("overview", 0, last, each.values.filter((value) => value !== null), 8), { context, height, x } = on;
  context.fillStyle = color("--accent");
  context.globalAlpha = 0.25;
  context.fillRect(x(origin - length + 1), 0, x(origin) - x(origin - length + 1), height - 18);
  context.fillStyle = color("--warm");
  context.fillRect(x(origin), 0, x(origin + horizon) - x(origin), height - 18);
  context.globalAlpha = 1;
  trace(on, 0, each.values, "--text", [], 1);
  context.strokeStyle = color("--soft"); // where the test part begins
  context.beginPath();
  context.moveTo(x(testFrom + 1), 0);
  context.lineTo(x(testFrom + 1), height - 18);
  context.stroke();
  write(context, dates[0], 8, height - 5);
  write(context, dates[last], on.width - 8, height - 5, "right");
  if (testFrom > 0) write(context, say("test-begins"), Math.min(x(testFrom + 1) + 4, on.width - 90), 12);
}

function drawPlot() {
  const { each, origin, rows } = now, from = origin - length + 1, past = each.values.slice(from, origin + 1);
  const ends = levels.length ? rows.flatMap((row) => [row[0], row[row.length - 1]]) : [];
  const every = [...past, ...now.truth, ...now.forecast, ...now.season, ...ends].filter((value) => value !== null);
  const on = prepare("plot", from, origin + horizon, every, 62), { context, x, y } = on, start = each.values[origin];
  for (let tick = 0; tick <= 4; tick++) {
    const value = on.low + ((on.high - on.low) * tick) / 4;
    context.strokeStyle = color("--line");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(62, y(value));
    context.lineTo(on.width - 8, y(value));
    context.stroke();
    write(context, value.toLocaleString(language, { maximumSignificantDigits: 4, notation: Math.abs(value) >= 1e6 ? "compact" : "standard" }), 57, y(value) + 4, "right");
  }
  if (levels.length) {
    context.fillStyle = color("--accent");
    context.globalAlpha = 0.2;
    context.beginPath();
    context.moveTo(x(origin), y(start));
    rows.forEach((row, i) => context.lineTo(x(origin + i + 1), y(row[row.length - 1])));
    rows.map((row, i) => [row[0], i]).reverse().forEach(([low, i]) => context.lineTo(x(origin + i + 1), y(low)));
    context.fill();
    context.globalAlpha = 1;
  }
  trace(on, from, past, "--text", [], 2);
  for (const line of ["persistence", "season", "truth", "forecast"]) {
    const [hue, dash] = LINES[line];
    trace(on, origin, [start, ...now[line]], hue, dash, line === "forecast" ? 3 : 2);
  }
  write(context, dates[from], 62, on.height - 5);
  write(context, dates[origin + horizon], on.width - 8, on.height - 5, "right");
}

// --- what one does --------------------------------------------------------------------------------------------------

const originSlider = slider("origin-slider", "window-end", series[0].first, known(series[0]), 1, chosen.origin, "", move);
originSlider.shown.parentElement.style.gridTemplateColumns = "minmax(4rem, 8rem) 1fr auto";
originSlider.shown.style.whiteSpace = "nowrap";

find("series-row").hidden = series.length < 2;
find("series").replaceChildren(...series.map(({ name }, place) => make("option", { value: place }, name)));
find("series").addEventListener("change", ({ target }) => {
  chosen.series = Number(target.value);
  const each = series[chosen.series];
  Object.assign(originSlider.input, { min: each.first, max: known(each) });
  move(chosen.origin);
});

// The window is dragged by its end; a click beside it brings it there.
const overview = find("overview");
const placeAt = ({ clientX }) => {
  const { left, width } = overview.getBoundingClientRect();
  return Math.round(((clientX - left - 8) / (width - 16)) * (dates.length - 1));
};
let grip = null; // how far the pointer is from the window's end
overview.addEventListener("pointerdown", (event) => {
  overview.setPointerCapture(event.pointerId);
  const away = placeAt(event) - chosen.origin;
  grip = away > -length && away <= horizon ? away : 0;
  move(placeAt(event) - grip);
});
overview.addEventListener("pointermove", (event) => { if (grip !== null) move(placeAt(event) - grip); });
for (const name of ["pointerup", "pointercancel"]) overview.addEventListener(name, () => { grip = null; });
overview.addEventListener("keydown", (event) => {
  const to = { ArrowLeft: chosen.origin - 1, ArrowRight: chosen.origin + 1, PageUp: chosen.origin - horizon, PageDown: chosen.origin + horizon, Home: 0, End: dates.length }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  move(to);
});

changed.push(() => { if (now) show(); });
window.addEventListener("resize", () => { if (now) show(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (now) show(); });
move(chosen.origin);
