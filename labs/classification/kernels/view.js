"use strict";
/* Convolution by hand: a picture, a kernel, what comes out, and the sum behind each number of it. */
const { kernels, pictures, learned, side } = data;
const BRIGHTEST = 0.99; // share of the pixels of signs that are not at their brightest

// --- what is chosen ------------------------------------------------------------------------------------------------

let picture = null; // as the page has it, see images.js
let kernel = null; // {name, weights: [values of each channel], size: [rows, columns], bias, number (of a learned one)}
let divisor = 1, stride = [1, 1], padding = [1, 1];
let input = null, output = null; // tensors of the engine: (channels, height, width)
let chosen = [0, 0]; // row and column of the output

const learnedNow = () => kernel.number !== undefined;

// --- the arithmetic ------------------------------------------------------------------------------------------------

// The kernel as weights of a convolution: a plain one goes over each channel by itself, a learned one over all at once.
function convolve(given) {
  const [rows, columns] = kernel.size, channels = given.shape[0];
  const plain = () => kernel.weights[0].map((value) => value / divisor);
  const weight = learnedNow()
    ? engine.tensor([1, channels, rows, columns], Float32Array.from(kernel.weights.flat()))
    : engine.tensor([channels, 1, rows, columns], Float32Array.from(Array.from({ length: channels }, plain).flat()));
  const bias = engine.tensor([weight.shape[0]], new Float32Array(weight.shape[0]).fill(kernel.bias));
  return engine.operations.conv2d([given], { weight, bias }, { stride, padding, dilation: [1, 1], groups: learnedNow() ? 1 : channels });
}

// What the kernel sees: brightness from 0 to 255, or what the network of the run is given.
function asInput() {
  const channels = learnedNow() ? learned.shape[1] : find("grey").checked ? 1 : picture.channels;
  const mixed = inChannels(picture, channels);
  const [mean, std] = learnedNow() ? [learned.mean, learned.std] : [Array(channels).fill(0), Array(channels).fill(1 / 255)];
  return images.normalize(mixed, mean, std);
}

// A picture in as many channels: grey ones thrice, or the luma of color (ITU-R 601-2).
function inChannels(from, channels) {
  if (from.channels === channels) return from;
  const out = images.picture(from.width, from.height, channels);
  for (let i = 0; i < from.width * from.height; i++) {
    if (channels === 3) out.data.fill(from.data[i], 3 * i, 3 * i + 3);
    else out.data[i] = (from.data[3 * i] * 19595 + from.data[3 * i + 1] * 38470 + from.data[3 * i + 2] * 7471 + 0x8000) >> 16;
  }
  return out;
}

// Shares of a kernel's energy: how much of it answers to brightness, to slopes, and to spots. On a square around its
// middle 1, x, y and x² + y² less its mean are at right angles, so the shares add up to 1 with what is left.
function describe() {
  const [rows, columns] = kernel.size, flat = Array(rows * columns).fill(0);
  for (const values of kernel.weights) values.forEach((value, i) => { flat[i] += value; });
  const at = flat.map((_, i) => [(i % columns) - (columns - 1) / 2, Math.floor(i / columns) - (rows - 1) / 2]);
  const mean = at.reduce((all, [x, y]) => all + x * x + y * y, 0) / at.length;
  const shapes = { brightness: () => 1, sideways: ([x]) => x, downwards: ([, y]) => y, spot: ([x, y]) => mean - (x * x + y * y) };
  const energy = flat.reduce((all, value) => all + value * value, 0) || 1;
  const found = Object.entries(shapes).map(([name, shape]) => {
    const along = at.reduce((all, place, i) => all + flat[i] * shape(place), 0);
    const own = at.reduce((all, place) => all + shape(place) ** 2, 0);
    return [name, own ? (along * Math.abs(along)) / own / energy : 0]; // with its sign
  });
  const rest = 1 - found.reduce((all, [, share]) => all + Math.abs(share), 0);
  return [...found, ["rest", Math.max(0, rest)]];
}

// --- what is shown -------------------------------------------------------------------------------------------------

function update() {
  if (!picture || !kernel) return;
  draw(find("source"), learnedNow() || find("grey").checked ? inChannels(picture, learnedNow() ? learned.shape[1] : 1) : picture);
  input = asInput();
  output = fits() ? convolve(input) : null;
  showResult();
  showKernel();
  choose(...chosen);
}

const outSize = (d) => Math.floor((input.shape[d + 1] + 2 * padding[d] - kernel.size[d]) / stride[d]) + 1;
const fits = () => outSize(0) >= 1 && outSize(1) >= 1;

function showResult() {
  const canvas = find("result");
  find("size").textContent = fits()
    ? say("size-text", { height: input.shape[1], width: input.shape[2], k: kernel.size[0], p: padding[0], s: stride[0], h: outSize(0), w: outSize(1) })
    : say("too-small");
  if (!output) { canvas.width = canvas.height = 1; return; }
  const [channels, height, width] = output.shape, each = height * width;
  if (find("shown").value === "picture") {
    const out = images.picture(width, height, channels);
    for (let i = 0; i < each; i++) for (let c = 0; c < channels; c++) out.data[i * channels + c] = output.data[c * each + i];
    draw(canvas, out);
    return;
  }
  const values = new Float32Array(each); // of colors the mean
  output.data.forEach((value, i) => { values[i % each] += value / channels; });
  const largest = Float32Array.from(values, Math.abs).sort()[Math.floor(BRIGHTEST * (each - 1))]; // few edges are strong
  if (find("shown").value === "sign") drawMap(canvas, values, width, height, largest);
  else draw(canvas, { width, height, channels: 1, data: Uint8ClampedArray.from(values, (value) => (255 * Math.abs(value)) / (largest || 1)) });
}

const number = (value) => (Number.isInteger(value) ? String(value) : Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3)).replace("-", "−");

function showKernel() {
  const plain = !learnedNow();
  for (const button of document.querySelectorAll("[data-kernel]")) {
    button.setAttribute("aria-pressed", String(button.dataset.kernel === kernel.name));
    button.style.borderColor = button.dataset.kernel === kernel.name ? "var(--accent)" : "";
    button.style.borderWidth = button.dataset.kernel === kernel.name ? "2px" : "";
  }
  find("numbers").style.display = plain ? "grid" : "none";
  for (const name of ["normalize", "stride", "padding"]) find(name).disabled = !plain;
  find("grey").disabled = bias.input.disabled = !plain;
  const sum = kernel.weights.flat().reduce((all, value) => all + value, 0);
  find("about").textContent = plain
    ? `${say(`about-${kernel.name}`)} ${say("sum-of-weights", { sum: number(sum / divisor) })}`
    : say("about-learned", { number: kernel.number, size: `${kernel.size[0]} × ${kernel.size[1]}`, channels: learned.shape[1], sum: number(sum) });
  bars("parts", describe().map(([name, share]) => [say(`part-${name}`), share]), (value) => percent(Math.abs(value)), 1);
}

// --- the sum behind a number ---------------------------------------------------------------------------------------

function choose(row, column) {
  if (!output) { find("place").textContent = ""; find("written").replaceChildren(); find("total").textContent = ""; return; }
  const [channels, height, width] = output.shape;
  chosen = [Math.min(height - 1, Math.max(0, row)), Math.min(width - 1, Math.max(0, column))];
  const [top, left] = chosen.map((place, d) => place * stride[d] - padding[d]);
  const [rows, columns] = kernel.size, [, inHeight, inWidth] = input.shape;
  const names = input.shape[0] === 3 ? ["red", "green", "blue"] : ["grey-values"];
  find("place").textContent = say("place-text", { row: chosen[0], column: chosen[1], top, left, bottom: top + rows - 1, right: left + columns - 1 });
  let total = kernel.bias;
  // A plain kernel gives a number for each channel: that of the first is written out.
  const written = learnedNow() ? input.shape[0] : 1, tables = [], sums = [];
  for (let channel = 0; channel < written; channel++) {
    const lines = [];
    let sum = 0;
    for (let v = 0; v < rows; v++) {
      const cells = [];
      for (let u = 0; u < columns; u++) {
        const y = top + v, x = left + u, outside = y < 0 || x < 0 || y >= inHeight || x >= inWidth;
        const value = outside ? 0 : input.data[(channel * inHeight + y) * inWidth + x];
        const weight = kernel.weights[learnedNow() ? channel : 0][v * columns + u] / divisor;
        sum += value * weight;
        cells.push(make("td", { style: "text-align:right;padding:.15rem .5rem;border:1px solid var(--line);white-space:nowrap", class: outside ? "note" : "" },
          `${number(round(value))} × ${number(round(weight))}`));
      }
      lines.push(make("tr", {}, ...cells));
    }
    total += sum;
    sums.push(sum);
    const caption = say(names[channel % names.length]);
    tables.push(make("table", { style: "border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem" }, make("caption", { style: "text-align:left" }, `${caption}: ${say("products", { sum: number(round(sum)) })}`), ...lines));
  }
  find("written").replaceChildren(...tables);
  const parts = [...sums.map((sum) => number(round(sum))), ...(kernel.bias ? [number(round(kernel.bias))] : [])];
  const found = output.data[chosen[0] * width + chosen[1]];
  const added = parts.length > 1 ? `${parts.join(" + ")}${kernel.bias ? ` (${say("bias")})` : ""} ` : "";
  find("total").textContent = `${added}= ${number(round(total))}${channels === 3 ? ` (${say("red")})` : ""}`;
  find("total").dataset.value = found;
  mark("result", chosen[0], chosen[1], 1, 1);
  mark("source", top, left, rows, columns);
}

const round = (value) => Math.round(value * 1000) / 1000;

// Draws a frame around pixels of a canvas, after what was drawn on it.
const plainOnes = {};
function mark(id, row, column, rows, columns) {
  const canvas = find(id), context = canvas.getContext("2d");
  if (plainOnes[id]?.of === canvas.dataset.drawn) context.putImageData(plainOnes[id].pixels, 0, 0);
  else plainOnes[id] = { of: canvas.dataset.drawn, pixels: context.getImageData(0, 0, canvas.width, canvas.height) };
  context.strokeStyle = "#ff2fd0";
  context.lineWidth = Math.max(1, canvas.width / 256);
  context.strokeRect(column - 0.5, row - 0.5, columns + 1, rows + 1);
}

function watch(id, toOutput) {
  const canvas = find(id);
  canvas.addEventListener("click", ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    choose(...toOutput(Math.floor(((clientY - top) / height) * canvas.height), Math.floor(((clientX - left) / width) * canvas.width)));
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!moves) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    choose(chosen[0] + far * moves[0], chosen[1] + far * moves[1]);
  });
}
watch("result", (row, column) => [row, column]);
watch("source", (row, column) => [row, column].map((place, d) => Math.round((place + padding[d] - (kernel.size[d] - 1) / 2) / stride[d])));

// --- what is given -------------------------------------------------------------------------------------------------

let drawn = 0;
function refresh() {
  drawn += 1;
  for (const id of ["source", "result"]) find(id).dataset.drawn = String(drawn);
  update();
}

function take(found) {
  picture = Math.max(found.width, found.height) > side ? shrink(found) : found;
  chosen = [Math.floor(picture.height / 2), Math.floor(picture.width / 2)];
  refresh();
}

function shrink(from) {
  const factor = side / Math.max(from.width, from.height);
  return images.resize(from, Math.max(1, Math.round(from.width * factor)), Math.max(1, Math.round(from.height * factor)));
}

// A picture all of whose pixels are grey has one channel.
const simplify = (found) => {
  for (let i = 0; i < found.data.length; i += 3) {
    if (found.data[i] !== found.data[i + 1] || found.data[i] !== found.data[i + 2]) return found;
  }
  const out = images.picture(found.width, found.height, 1);
  for (let i = 0; i < out.data.length; i++) out.data[i] = found.data[3 * i];
  return out;
};

const readFile = (file) => readPicture(file, 3)
  .then((found) => { find("note").textContent = ""; take(simplify(found)); })
  .catch(() => { find("note").textContent = say("unreadable", { name: file.name || "PNG" }); });

function takePicture(which) {
  const bytes = Uint8Array.from(atob(pictures[which].png), (character) => character.charCodeAt(0));
  return readFile(new Blob([bytes], { type: "image/png" }));
}

const nameOf = ({ label, name, number: row }) => label ?? say(name, { number: row });
pictures.forEach((each, at) => find("pictures").append(make("option", { value: at }, "")));
find("pictures").addEventListener("change", ({ target }) => takePicture(Number(target.value)));
find("file").addEventListener("change", ({ target }) => target.files[0] && readFile(target.files[0]));
document.body.addEventListener("dragover", (event) => event.preventDefault());
document.body.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files[0]) readFile(event.dataTransfer.files[0]); });
find("grey").addEventListener("change", refresh);

// --- kernels -------------------------------------------------------------------------------------------------------

const cells = Array.from({ length: 9 }, (_, i) => {
  const cell = make("input", { type: "number", step: "any", id: `weight-${i}`, style: "width:100%;font:inherit;padding:.25rem;border:1px solid var(--soft);border-radius:6px;color:var(--text);background:var(--page)", oninput: own });
  find("numbers").append(cell);
  return cell;
});

const zeroSum = (values) => Math.abs(values.reduce((all, value) => all + value, 0)) < 1e-6;

function setKernel(name, values, bias = 0) {
  kernel = { name, weights: [values], size: [3, 3], bias };
  divide();
  stride = Array(2).fill(Number(find("stride").value));
  padding = Array(2).fill(Number(find("padding").value));
}

function takeKernel(name) {
  const values = name === "own" ? cells.map(read) : kernels[name].flat();
  if (name !== "own") cells.forEach((cell, i) => { cell.value = round(values[i]); });
  bias.input.value = 0;
  bias.shown.textContent = "0";
  setKernel(name, values);
  find("shown").value = zeroSum(values) ? "sign" : "picture";
  refresh();
}

const read = (cell) => { const value = Number(cell.value); return Number.isFinite(value) ? value : 0; };
function own() {
  setKernel("own", cells.map(read), Number(bias.input.value));
  refresh();
}

function divide() {
  const sum = kernel.weights[0].reduce((all, value) => all + value, 0);
  divisor = !learnedNow() && find("normalize").checked && Math.abs(sum) > 1e-9 ? sum : 1;
}

function takeLearned(which) {
  const [, channels, rows, columns] = learned.shape, each = rows * columns, start = which * channels * each;
  const weights = Array.from({ length: channels }, (_, c) => learned.weights.slice(start + c * each, start + (c + 1) * each));
  kernel = { name: `learned-${which}`, number: which, weights, size: [rows, columns], bias: learned.bias[which] };
  divisor = 1;
  stride = learned.stride;
  padding = learned.padding;
  find("shown").value = "sign";
  refresh();
}

for (const name of [...Object.keys(kernels), "own"]) {
  find("kernels").append(make("button", { type: "button", "data-kernel": name, "data-t": `kernel-${name}`, onclick: () => takeKernel(name) }));
}
const bias = slider("sliders", "bias", -255, 255, 1, 0, "", (value) => { if (!learnedNow()) { kernel.bias = value; refresh(); } });
for (const id of ["stride", "padding"]) {
  find(id).addEventListener("change", () => { if (learnedNow()) return; setKernel(kernel.name, kernel.weights[0], kernel.bias); refresh(); });
}
find("normalize").addEventListener("change", () => { divide(); refresh(); });
for (const name of ["picture", "sign", "size-of"]) find("shown").append(make("option", { value: name, "data-t": `shown-${name}` }));
find("shown").addEventListener("change", refresh);

if (learned) {
  find("learned").hidden = false;
  const [count, channels, rows, columns] = learned.shape, each = rows * columns;
  const largest = learned.weights.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  for (let which = 0; which < count; which++) {
    const canvas = make("canvas", { style: "width:56px;height:56px" }), values = learned.weights.slice(which * channels * each, (which + 1) * channels * each);
    if (channels === 3) {
      const shown = images.picture(columns, rows, 3); // grey is 0
      for (let i = 0; i < each; i++) for (let c = 0; c < 3; c++) shown.data[3 * i + c] = 128 + (127 * values[c * each + i]) / (largest || 1);
      draw(canvas, shown);
    } else drawMap(canvas, values, columns, rows, largest);
    find("learned-kernels").append(make("button", { type: "button", class: "picture", "data-kernel": `learned-${which}`, title: String(which), onclick: () => takeLearned(which) }, canvas));
  }
}

changed.push(() => {
  [...find("pictures").options].forEach((option, at) => { option.textContent = nameOf(pictures[at]); });
  cells.forEach((cell, i) => cell.setAttribute("aria-label", say("weight", { row: Math.floor(i / 3) + 1, column: (i % 3) + 1 })));
  if (learned) {
    const range = learned.mean.map((mean, c) => say("scaling", { mean: number(round(mean)), std: number(round(learned.std[c])) }));
    find("learned-note").textContent = say("learned-text", { name: learned.name, count: learned.shape[0], all: learned.all, size: `${learned.shape[2]} × ${learned.shape[3]}`, channels: learned.shape[1], stride: learned.stride[0], padding: learned.padding[0], scaling: [...new Set(range)].join(", ") });
    for (const button of find("learned-kernels").children) button.setAttribute("aria-label", say("learned-button", { number: button.title }));
  }
  if (kernel) refresh();
});

takeKernel("sobel-x");
const ready = takePicture(0);
