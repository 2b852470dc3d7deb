"use strict";
/* A classifier in the page: what is drawn, what each layer makes of it, what a unit sees, and a head of one's own. */
const { program, classes, size, channels, mean, std, kind, ground, kernels } = data;
network.ask("load", program);
const numbers = engine.decodeWeights(program);

// --- what is given -------------------------------------------------------------------------------------------------

const moves = { dx: 0, dy: 0, degrees: 0, scale: 100 };
let plain = null, shown = null, steps = []; // the picture before and after the sliders; what each step gives

function update() {
  shown = images.transform(plain, { ...moves, scale: moves.scale / 100 }, ground);
  draw(find("seen"), shown);
  network.ask("run", images.normalize(shown, mean, std), (found, milliseconds) => {
    steps = found;
    showAnswer(milliseconds);
    showLayers();
    showUnit();
    showOwn();
    compare();
  });
}

const board = makeBoard(data, (picture) => { plain = picture; update(); });
const most = Math.max(4, Math.round(size / 3));
const move = (key, ...range) => slider("sliders", key, ...range, (value) => { moves[key] = value; update(); });
move("dx", -most, most, 1, 0, " px");
move("dy", -most, most, 1, 0, " px");
move("degrees", -180, 180, 5, 0, "°");
move("scale", 40, 200, 5, 100, " %");

// --- what it answers -----------------------------------------------------------------------------------------------

function showAnswer(milliseconds) {
  const logits = steps[steps.length - 1].data;
  if (kind === "number") {
    const value = data.target[0] + data.target[1] * logits[0];
    find("verdict").textContent = value.toPrecision(4);
  } else {
    const shares = kind === "labels" ? Array.from(logits, engine.activations.sigmoid) : softmax(logits);
    bars("answers", classes.map((name, c) => [name, shares[c]]), percent, 1);
    const said = kind === "labels"
      ? [...classes.keys()].filter((c) => shares[c] >= data.thresholds[c])
      : [shares.indexOf(Math.max(...shares))];
    const named = said.map((c) => say("said", { name: classes[c], share: percent(shares[c]) }));
    find("verdict").textContent = named.join(", ") || "–";
  }
  find("speed").textContent = say("speed", { milliseconds: milliseconds.toFixed(1) });
}

// How far each layer is from what it gave for the picture before the sliders changed it.
function compare() {
  if (plain === shown) { find("forgives").replaceChildren(); return; }
  network.ask("again", images.normalize(plain, mean, std), (before) => {
    const rows = layers.map(({ number, name }) => {
      let far = 0, all = 0;
      before[number].data.forEach((value, i) => { far += (value - steps[number].data[i]) ** 2; all += value ** 2; });
      return [name, Math.sqrt(far / (all || 1))];
    });
    bars("forgives", rows, percent, Math.max(...rows.map((row) => row[1])), 40);
  });
}

// --- its layers ----------------------------------------------------------------------------------------------------

const layers = program.steps.map((step, number) => ({ ...step, number })).filter((step) => !["reshape", "slice", "pad"].includes(step.operation));
const unfolded = new Set(layers.slice(0, 3).map((step) => step.number));
let chosen = null; // {step, place}

const describe = (step) => `${step.name}: ${say(`op-${step.operation}`)}${step.attributes.kind ? ` (${step.attributes.kind})` : ""}`;

for (const step of layers) {
  const maps = make("div", { class: "maps" }), title = make("summary");
  const box = make("details", { open: unfolded.has(step.number), ontoggle: () => { unfolded[box.open ? "add" : "delete"](step.number); showLayer(step.number); } }, title, maps);
  find("layers").append(box);
  Object.assign(step, { box, title, maps });
}

const sizes = (shape) => shape.join(" × ");

function showLayer(number) {
  const step = layers.find((each) => each.number === number), found = steps[number];
  if (!found) return;
  step.title.textContent = `${describe(step)}, ${sizes(found.shape)}`;
  if (!unfolded.has(number)) return;
  const largest = found.data.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  const flat = found.shape.length === 1, [count, height, width] = flat ? [1, Math.ceil(found.shape[0] / 16), Math.min(16, found.shape[0])] : found.shape;
  const shownMaps = Math.min(count, 64), each = height * width;
  while (step.maps.children.length < shownMaps) {
    const map = step.maps.children.length;
    step.maps.append(make("canvas", {
      role: "img", tabindex: 0,
      onclick: ({ target, clientX, clientY }) => {
        const { left, top, width: w, height: h } = target.getBoundingClientRect();
        chooseUnit(number, map, Math.floor(((clientY - top) / h) * target.height), Math.floor(((clientX - left) / w) * target.width));
      },
      onkeydown: ({ key, target }) => { if (key === "Enter") strongest(number, map, target); },
    }));
  }
  for (let map = 0; map < shownMaps; map++) {
    const canvas = step.maps.children[map];
    drawMap(canvas, found.data.subarray(map * each, (map + 1) * each), width, height, largest);
    canvas.style.width = `${Math.max(24, Math.min(96, 3 * width))}px`;
    canvas.setAttribute("aria-label", say("map", { map: map + 1, name: step.name }));
  }
}

function strongest(number, map, canvas) {
  const each = canvas.width * canvas.height, values = steps[number].data.subarray(map * each, (map + 1) * each);
  const place = values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);
  chooseUnit(number, map, Math.floor(place / canvas.width), place % canvas.width);
}

function showLayers() {
  for (const step of layers) showLayer(step.number);
}

// --- a unit --------------------------------------------------------------------------------------------------------

function chooseUnit(step, map, row, column) {
  const { shape, data: values } = steps[step];
  const place = shape.length === 3 ? (map * shape[1] + row) * shape[2] + column : row * Math.min(16, shape[0]) + column;
  if (place < values.length) { chosen = { step, place, map, row, column }; showUnit(); }
}

// The rows and columns of the input that a place of a step depends on: [top, bottom, left, right].
function field(number, area) {
  if (number < 0) return area;
  const { operation, attributes, weights, inputs } = program.steps[number];
  const shapeOf = (each) => (each < 0 ? [channels, size, size] : steps[each].shape);
  const shape = shapeOf(inputs[0]);
  let wider = area;
  const window = (kernel, stride, padding, dilation = [1, 1]) => [0, 1].flatMap((d) => [
    area[2 * d] * stride[d] - padding[d],
    area[2 * d + 1] * stride[d] - padding[d] + dilation[d] * (kernel[d] - 1),
  ]);
  if (operation === "conv2d") wider = window(weights.weight.shape.slice(2), attributes.stride, attributes.padding, attributes.dilation);
  else if (operation === "locally_connected") wider = window([attributes.kernel, attributes.kernel], [1, 1], [attributes.padding, attributes.padding]);
  else if (operation.endsWith("_pool2d") && attributes.kernel) wider = window(attributes.kernel, attributes.stride, attributes.padding);
  else if (operation === "slice" && attributes.dimension > 0) {
    const at = 2 * (attributes.dimension - 1);
    wider = area.map((each, i) => (i === at || i === at + 1 ? attributes.start + each * attributes.step : each));
  } else if (!["batch_norm", "activation", "add", "multiply", "concatenate", "pad", "slice", "group_norm"].includes(operation) || shape.length !== 3) {
    wider = shape.length === 3 ? [0, shape[1] - 1, 0, shape[2] - 1] : [0, size - 1, 0, size - 1];
  }
  const fields = inputs.map((each) => field(each, wider));
  const all = (d, best) => best(...fields.map((each) => each[d]));
  return [all(0, Math.min), all(1, Math.max), all(2, Math.min), all(3, Math.max)];
}

function showUnit() {
  if (!chosen || !steps[chosen.step]) return;
  const { step, place, map, row, column } = chosen, { shape, data: values } = steps[step];
  const area = shape.length === 3 ? field(step, [row, row, column, column]) : [0, size - 1, 0, size - 1];
  const [top, bottom, left, right] = area.map((each) => Math.max(0, Math.min(size - 1, each)));
  find("unit-text").removeAttribute("data-t");
  find("unit-text").textContent = say(shape.length === 3 ? "unit-map" : "unit-flat", {
    name: program.steps[step].name, map: map + 1, row: row + 1, column: column + 1, place: place + 1,
    value: values[place].toPrecision(3), width: right - left + 1, height: bottom - top + 1,
  });
  const canvas = find("field");
  canvas.hidden = false;
  const marked = images.picture(size, size, 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const inside = y >= top && y <= bottom && x >= left && x <= right;
      for (let c = 0; c < 3; c++) marked.data[3 * (y * size + x) + c] = shown.data[(y * size + x) * channels + (channels === 3 ? c : 0)] * (inside ? 1 : 0.35) + (inside ? 0 : [40, 40, 60][c]);
    }
  }
  draw(canvas, marked);
  showKernel(step, map);
  const before = steps[steps.length - 1].data;
  network.ask("without", { step, place }, (after) => {
    const rows = Array.from(before, (value, c) => [classes[c] ?? say("number"), value - after.data[c]]);
    bars("unit-effect", rows, (value) => value.toPrecision(2), Math.max(...rows.map((each) => Math.abs(each[1]))));
  });
}

// The kernel that makes a map, a square for each map that it reads.
function showKernel(step, map) {
  const { operation, weights } = program.steps[step], place = find("unit-kernel");
  place.replaceChildren();
  if (operation !== "conv2d") return;
  const { shape, start } = weights.weight, [, inputs, height, width] = shape, each = height * width;
  const values = numbers.subarray(start + map * inputs * each, start + (map + 1) * inputs * each);
  const largest = values.reduce((best, value) => Math.max(best, Math.abs(value)), 0);
  for (let i = 0; i < Math.min(inputs, 64); i++) {
    const canvas = make("canvas", { role: "img", "aria-label": say("kernel", { map: i + 1 }), style: "width:56px;height:56px" });
    drawMap(canvas, values.subarray(i * each, (i + 1) * each), width, height, largest);
    place.append(canvas);
  }
}

// --- a head of one's own -------------------------------------------------------------------------------------------

const last = program.steps.reduce((best, step, number) => (step.operation === "linear" ? number : best), -1);
const own = { names: [], features: [], targets: [], weight: [], bias: [], losses: [], gradient: 0, rate: 0.1, timer: null };
const featuresNow = () => {
  const from = program.steps[last].inputs[0];
  const values = from < 0 ? Array.from(images.normalize(shown, mean, std).data) : Array.from(steps[from].data);
  return values;
};
// So that one rate suits any network: features are divided by their typical length.
const scaled = (values) => { const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1; return values.map((value) => (4 * value) / length); };
const outputs = (x) => own.names.map((_, c) => own.weight[c].reduce((sum, weight, i) => sum + weight * x[i], own.bias[c]));

// One step of gradient descent on the mean cross-entropy of all examples:
// gradient of a logit = probability - (1 where it is the class), times the feature, over the number of examples.
function stepHead() {
  if (own.names.length < 2) return;
  const size = own.features[0].length;
  const weights = own.names.map(() => new Float64Array(size)), biases = own.names.map(() => 0);
  let loss = 0;
  own.features.forEach((x, row) => {
    const shares = softmax(outputs(x));
    loss -= Math.log(shares[own.targets[row]]) / own.features.length;
    shares.forEach((share, c) => {
      const pull = (share - (c === own.targets[row] ? 1 : 0)) / own.features.length;
      biases[c] += pull;
      x.forEach((value, i) => { weights[c][i] += pull * value; });
    });
  });
  own.gradient = Math.sqrt(weights.reduce((sum, each) => sum + each.reduce((all, value) => all + value * value, 0), 0));
  own.names.forEach((_, c) => {
    own.bias[c] -= own.rate * biases[c];
    weights[c].forEach((value, i) => { own.weight[c][i] -= own.rate * value; });
  });
  own.losses.push(loss);
  showOwn();
}

function showOwn() {
  if (last < 0 || !steps.length) return;
  const counts = own.names.map((name, c) => `${name} × ${own.targets.filter((each) => each === c).length}`).join(", ");
  find("head-state").textContent = own.names.length < 2
    ? say("head-few", { counts: counts || "–" })
    : say("head-state", { counts, step: own.losses.length, loss: own.losses.length ? own.losses[own.losses.length - 1].toFixed(3) : "–", gradient: own.gradient.toPrecision(2) });
  if (own.names.length > 1) bars("own-answers", softmax(outputs(scaled(featuresNow()))).map((share, c) => [own.names[c], share]), percent, 1);
  else find("own-answers").replaceChildren();
  const canvas = find("curve"), context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const largest = Math.max(0.1, ...own.losses);
  context.strokeStyle = getComputedStyle(document.body).getPropertyValue("--accent");
  context.lineWidth = 2;
  context.beginPath();
  own.losses.forEach((loss, i) => context[i ? "lineTo" : "moveTo"]((i / Math.max(1, own.losses.length - 1)) * (width - 8) + 4, height - 6 - (loss / largest) * (height - 12)));
  context.stroke();
}

find("add").addEventListener("click", () => {
  const name = find("class-name").value.trim();
  if (!name || !steps.length) return;
  const x = scaled(featuresNow());
  if (!own.names.includes(name)) { own.names.push(name); own.weight.push(new Float64Array(x.length)); own.bias.push(0); }
  own.features.push(x);
  own.targets.push(own.names.indexOf(name));
  showOwn();
});
find("step").addEventListener("click", stepHead);
find("run").addEventListener("click", () => {
  if (own.timer) { clearInterval(own.timer); own.timer = null; } else own.timer = setInterval(stepHead, 50);
  find("run").setAttribute("aria-pressed", String(Boolean(own.timer)));
});
find("forget").addEventListener("click", () => {
  Object.assign(own, { names: [], features: [], targets: [], weight: [], bias: [], losses: [], gradient: 0 });
  showOwn();
});
slider("rate-slider", "rate", 0.01, 1, 0.01, 0.1, "", (value) => { own.rate = value; });

// --- kernels over the epochs ---------------------------------------------------------------------------------------

if (kernels.length > 1) {
  find("epochs").hidden = false;
  const show = (which) => {
    const { epoch, values, shape } = kernels[which], [count, , height, width] = shape, each = values.length / count;
    const largest = Math.max(...values.map(Math.abs));
    const place = find("epoch-kernels");
    while (place.children.length < count) place.append(make("canvas", { role: "img", "aria-label": String(place.children.length + 1), style: "width:56px;height:56px" }));
    for (let map = 0; map < count; map++) drawMap(place.children[map], values.slice(map * each, map * each + height * width), width, height, largest);
    number.textContent = String(epoch);
  };
  const { shown: number } = slider("epoch-slider", "epoch", 0, kernels.length - 1, 1, kernels.length - 1, "", show);
  show(kernels.length - 1);
}

changed.push(() => { if (steps.length) { showLayers(); showUnit(); showOwn(); } });
board.begin();
