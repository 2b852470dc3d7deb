"use strict";
/* tiny-yolo in the page: what each cell says of an image, its boxes, and which of them are left. */
const { classes, size, stride, anchors, samples } = data;
network.ask("load", data.program);
const cells = size / stride;

// --- from the numbers of the cells to boxes ------------------------------------------------------------------------

// What the network gives, maps of x, y, width, height and objectness of each anchor, then of the classes, as a list of
// cells, row by row: each anchor's box and objectness, and the probabilities of the classes. See `decode` of the lab's
// tiny_yolo.py:
// center = stride * (cell + 2 sigmoid(x) - 1/2), width = anchor's width * exp(w)
function decode(grid) {
  const sigmoid = engine.activations.sigmoid, all = cells * cells;
  return Array.from({ length: all }, (_, cell) => {
    const at = (map) => grid.data[map * all + cell], column = cell % cells, row = Math.floor(cell / cells);
    const stretch = (value) => Math.exp(Math.min(value, data.largest));
    return {
      anchors: anchors.map(([width, height], a) => {
        const x = stride * (column + 2 * sigmoid(at(5 * a)) - 0.5), y = stride * (row + 2 * sigmoid(at(5 * a + 1)) - 0.5);
        const w = width * stretch(at(5 * a + 2)), h = height * stretch(at(5 * a + 3));
        const box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2].map((each) => Math.min(size, Math.max(0, each)));
        return { box, objectness: sigmoid(at(5 * a + 4)) };
      }),
      probabilities: softmax(classes.map((_, c) => at(5 * anchors.length + c))),
    };
  });
}

// The detections with the highest scores, objectness x probability: {box, score, label, cell, anchor}, highest first.
function candidatesOf(said) {
  const all = said.flatMap(({ anchors: boxes, probabilities }, cell) => boxes.flatMap(({ box, objectness }, anchor) =>
    probabilities.map((probability, label) => ({ box, score: objectness * probability, label, cell, anchor }))));
  return all.sort((a, b) => b.score - a.score).slice(0, data.candidates);
}

// |A n B| / |A u B|
function overlap([a, b, c, d], [e, f, g, h]) {
  const shared = Math.max(0, Math.min(c, g) - Math.max(a, e)) * Math.max(0, Math.min(d, h) - Math.max(b, f));
  return shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared) || 0;
}

// The steps of greedy non-maximum suppression within each class: the highest score that is left is kept, and those of
// its class whose IoU with it is above the threshold go.
function suppress(found, most) {
  const steps = [], gone = new Set();
  for (const kept of found) {
    if (gone.has(kept)) continue;
    gone.add(kept);
    const removed = found.filter((each) => each.label === kept.label && !gone.has(each))
      .map((each) => ({ found: each, iou: overlap(kept.box, each.box) })).filter(({ iou }) => iou > most);
    removed.forEach((each) => gone.add(each.found));
    steps.push({ kept, removed });
  }
  return steps;
}

// --- the image -----------------------------------------------------------------------------------------------------

let shown = null, truth = null, fit = null; // the square that the network sees, what is true of it, how it was fitted
let said = [], candidates = [], before = [], steps = []; // what the cells say; before and after suppression
let chosen = { row: Math.floor(cells / 2), column: Math.floor(cells / 2) };
const limits = { score: data.score, iou: data.same };
let step = 0, taken = 0; // of the suppression, where the last is its end; milliseconds of the network

function take(square, boxes, how) {
  [shown, truth, fit] = [square, boxes, how];
  find("show-true").disabled = !boxes;
  network.ask("answer", images.normalize(square, [0, 0, 0], [1, 1, 1]), (grid, milliseconds) => {
    said = decode(grid);
    candidates = candidatesOf(said);
    taken = milliseconds;
    update();
  });
}

function update() {
  before = candidates.filter(({ score }) => score >= limits.score);
  steps = suppress(before, limits.iou).slice(0, data.most);
  stepper.input.max = steps.length;
  step = steps.length;
  stepper.input.value = step;
  show();
}

const scoreText = (score) => score.toFixed(3);
const colorOf = (label) => `hsl(${(360 * label) / classes.length} 90% 60%)`;

function show() {
  if (!said.length) return;
  stepper.shown.textContent = `${step} / ${steps.length}`;
  find("speed").textContent = say("speed", { milliseconds: taken.toFixed(0) });
  drawScene();
  showRows();
  showStep();
  showCell();
}

function drawScene() {
  const canvas = find("scene"), context = canvas.getContext("2d"), scale = canvas.width / size, small = document.createElement("canvas");
  draw(small, shown);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  const frame = ([left, top, right, bottom], color, width, dashes = []) => {
    context.setLineDash(dashes);
    context.lineWidth = width;
    context.strokeStyle = color;
    context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
    context.setLineDash([]);
  };
  const place = (row, column) => [column * stride, row * stride, (column + 1) * stride, (row + 1) * stride];
  if (find("show-objectness").checked) {
    said.forEach(({ anchors: boxes }, cell) => {
      context.fillStyle = `rgb(255 216 0 / ${0.8 * Math.max(...boxes.map((each) => each.objectness))})`;
      context.fillRect((cell % cells) * stride * scale, Math.floor(cell / cells) * stride * scale, stride * scale, stride * scale);
    });
  }
  if (find("show-grid").checked) {
    for (let i = 1; i < cells; i++) { frame([i * stride, 0, i * stride, size], "rgb(255 255 255 / .22)", 1); frame([0, i * stride, size, i * stride], "rgb(255 255 255 / .22)", 1); }
  }
  const done = steps.slice(0, step), over = step === steps.length, now = over ? null : done[done.length - 1];
  const decided = new Set(done.flatMap(({ kept, removed }) => [kept, ...removed.map((each) => each.found)]));
  if (find("show-before").checked) {
    for (const each of before) if (over || !decided.has(each)) frame(each.box, "rgb(255 255 255 / .45)", 1.5);
    now?.removed.forEach((each) => frame(each.found.box, "#ff6060", 2, [8, 5]));
  }
  if (find("show-true").checked && truth) for (const [...box] of truth) frame(box.slice(0, 4), "#ffffff", 2.5, [3, 4]);
  if (find("show-after").checked) for (const { kept } of done) name(context, kept, scale, frame, kept === now?.kept);
  frame(place(chosen.row, chosen.column), "#ffd800", 3);
  said[chosen.row * cells + chosen.column].anchors.forEach(({ box, objectness }) => {
    if (objectness >= 0.05) frame(box, `rgb(255 216 0 / ${0.3 + 0.7 * objectness})`, 2, [2, 3]);
  });
}

// A box with its class and score.
function name(context, { box, label, score }, scale, frame, current) {
  frame(box, colorOf(label), current ? 6 : 3.5);
  const text = `${classes[label]} ${score.toFixed(2)}`;
  context.font = "600 18px sans-serif";
  const width = context.measureText(text).width + 8, left = Math.min(box[0] * scale, size * scale - width), top = Math.max(0, box[1] * scale - 22);
  context.fillStyle = colorOf(label);
  context.fillRect(left, top, width, 22);
  context.fillStyle = "#000";
  context.fillText(text, left + 4, top + 17);
}

// Boxes in pixels of the photo, inside it.
function boxInPhoto(box) {
  if (!fit) return box;
  const { scale, left, top, width, height } = fit;
  return box.map((value, i) => Math.min(i % 2 ? height : width, Math.max(0, (value - (i % 2 ? top : left)) / scale)));
}
const detections = () => steps.map(({ kept }) => ({ ...kept, box: boxInPhoto(kept.box) })).filter(({ box: [a, b, c, d] }) => c > a && d > b);

function showRows() {
  find("counts").textContent = say("counts", {
    all: said.length * anchors.length, candidates: candidates.length, before: before.length, score: scoreText(limits.score), after: steps.length,
  });
  find("rows").replaceChildren(...detections().map(({ box, score, label }) => make("tr", {},
    make("td", {}, classes[label]), make("td", {}, scoreText(score)), make("td", {}, box.map((each) => each.toFixed(1)).join(", ")))));
}

function showStep() {
  const now = steps[step - 1], { kept, removed } = now ?? {};
  find("step-text").textContent = !now
    ? say("step-none", { before: before.length })
    : say("step-text", { name: classes[kept.label], score: scoreText(kept.score), removed: removed.length, ious: removed.map(({ iou }) => iou.toFixed(2)).join(", ") || "–" });
}

// --- a cell --------------------------------------------------------------------------------------------------------

function showCell() {
  const { row, column } = chosen, { anchors: boxes, probabilities } = said[row * cells + column];
  find("cell-title").textContent = say("cell", { row: row + 1, column: column + 1 });
  bars("anchors", boxes.map(({ objectness }, a) => [say("anchor", { number: a + 1, width: anchors[a][0].toFixed(0), height: anchors[a][1].toFixed(0) }), objectness]), scoreText, 1, 20);
  bars("probabilities", classes.map((each, c) => [each, probabilities[c]]), scoreText, 1);
  const objectness = Math.max(...boxes.map((each) => each.objectness)), probability = Math.max(...probabilities);
  find("cell-text").textContent = say("cell-text", {
    number: boxes.findIndex((each) => each.objectness === objectness) + 1, objectness: scoreText(objectness), name: classes[probabilities.indexOf(probability)],
    probability: scoreText(probability), score: scoreText(objectness * probability),
  });
}

const scene = find("scene");
function point({ clientX, clientY }) {
  const { left, top, width, height } = scene.getBoundingClientRect(), inside = (share) => Math.min(cells - 1, Math.max(0, Math.floor(share * cells)));
  const next = { row: inside((clientY - top) / height), column: inside((clientX - left) / width) };
  if (next.row !== chosen.row || next.column !== chosen.column) { chosen = next; show(); }
}
scene.addEventListener("pointermove", point);
scene.addEventListener("pointerdown", point);
scene.addEventListener("keydown", (event) => {
  const moved = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (/^[0-9]$/.test(event.key) && samples[Number(event.key)]) takeSample(samples[Number(event.key)]);
  if (!moved) return;
  event.preventDefault();
  const within = (value) => Math.min(cells - 1, Math.max(0, value));
  chosen = { row: within(chosen.row + moved[0]), column: within(chosen.column + moved[1]) };
  show();
});

// --- what is chosen ------------------------------------------------------------------------------------------------

slider("thresholds", "score", 0, 1, 0.005, data.score.toFixed(3), "", (value) => { limits.score = value; update(); });
slider("thresholds", "iou", 0, 1, 0.05, data.same, "", (value) => { limits.iou = value; update(); });
const stepper = slider("step-slider", "step", 0, 1, 1, 0, "", (value) => { step = value; show(); });
for (const each of ["grid", "objectness", "before", "after", "true"]) find(`show-${each}`).addEventListener("change", show);

const takeSample = (sample) => take(sample.picture, sample.boxes, null);
const read = (file) => file && readPicture(file, 3)
  .then((photo) => {
    find("note").textContent = "";
    const { square, ...how } = images.letterbox(photo, size, data.grey);
    take(square, null, { ...how, width: photo.width, height: photo.height });
  })
  .catch(() => { find("note").textContent = say("unreadable", { name: file.name }); });
find("file").addEventListener("change", ({ target }) => read(target.files[0]));
scene.addEventListener("dragover", (event) => event.preventDefault());
scene.addEventListener("drop", (event) => { event.preventDefault(); read(event.dataTransfer.files[0]); });
samples.forEach((sample) => {
  sample.picture = decodePicture(sample.pixels, size, 3);
  const canvas = make("canvas");
  draw(canvas, sample.picture);
  find("samples").append(make("button", { type: "button", class: "picture", title: sample.name, "aria-label": sample.name, onclick: () => takeSample(sample) }, canvas));
});
changed.push(show);
takeSample(samples[0]);
