"use strict";
/* An autoencoder in the page: a picture becomes a code and comes back; codes that are moved, walked and drawn. */
const { classes, size, channels, variational, conditional, order, low, high, origin, directions } = data;
const latents = order.length;
const encoder = network, decoder = startNetwork();
encoder.ask("load", data.encoder);
decoder.ask("load", data.decoder);

// --- from pictures to codes and back -------------------------------------------------------------------------------

let clean = null, own = null, spread = null; // the picture's pixels in [0, 1]; its code; that code's deviations
let code = null; // the one that is decoded now

// What a network is given: a conditional one the class too, as one-hot, or zeros where it is told none.
function given(values, told = Number(find("told").value)) {
  const all = [...values, ...(conditional ? classes.map((_, c) => (c === told ? 1 : 0)) : [])];
  return engine.tensor([all.length], Float32Array.from(all));
}
const encoded = (pixels) => (conditional ? given(pixels.data) : pixels);

const picturesOf = (values) => {
  const out = images.picture(size, size, channels), each = size * size;
  for (let c = 0; c < channels; c++) for (let i = 0; i < each; i++) out.data[i * channels + c] = Math.round(255 * values[c * each + i]);
  return out;
};
const pixelsOf = (picture) => images.normalize(picture, Array(channels).fill(0), Array(channels).fill(1));

function update() {
  const seen = noisy(clean);
  draw(find("seen"), picturesOf(seen.data));
  encoder.ask("answer", encoded(seen), ({ data: numbers }, before) => {
    own = Array.from(numbers.subarray(0, latents));
    spread = variational ? Array.from(numbers.subarray(latents), (logVariance) => Math.exp(logVariance / 2)) : null;
    decoder.ask("answer", given(own), ({ data: values }, after) => {
      showReturn(values);
      find("speed").textContent = say("speed", { milliseconds: (before + after).toFixed(1) });
    }, "own");
    setCode(own);
  });
}

const errors = Float64Array.from(data.map.errors).sort();

function showReturn(values) {
  draw(find("reconstruction"), picturesOf(values));
  const each = size * size, difference = new Float32Array(each);
  let sum = 0;
  clean.data.forEach((value, i) => { difference[i % each] += (values[i] - value) / channels; sum += (values[i] - value) ** 2; });
  drawMap(find("difference"), difference, size, size, 0.5);
  const error = sum / clean.data.length, below = errors.filter((each) => each < error).length / errors.length;
  find("error").textContent = say("error", { error: error.toFixed(5), share: percent(below) });
}

// --- noise, of a network that takes it away ------------------------------------------------------------------------

// Uniform numbers in [0, 1) that a seed names (mulberry32), and normal ones (Box and Muller).
function uniforms(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
function normals(seed) {
  const uniform = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

const noise = { kind: data.noise?.[0], amount: Number(data.noise?.[1] ?? 0), seed: 0 };

function noisy(pixels) {
  if (!noise.kind || !noise.amount) return pixels;
  const out = engine.tensor(pixels.shape), each = size * size, { kind, amount, seed } = noise;
  const draw = kind === "gaussian" ? normals(seed) : uniforms(seed);
  const drawn = Float32Array.from({ length: kind === "gaussian" ? out.data.length : each }, draw);
  pixels.data.forEach((value, i) => {
    const chance = drawn[i % drawn.length];
    if (kind === "gaussian") out.data[i] = Math.min(1, Math.max(0, value + amount * chance));
    else if (kind === "masking") out.data[i] = chance < amount ? 0 : value;
    else out.data[i] = chance < amount / 2 ? 0 : chance >= 1 - amount / 2 ? 1 : value;
  });
  return out;
}

if (noise.kind) {
  find("noise-row").hidden = false;
  slider("noise-slider", "noise", 0, 1, 0.05, noise.amount, "", (value) => { noise.amount = value; update(); });
  find("noise-again").addEventListener("click", () => { noise.seed++; update(); });
}

if (conditional) {
  find("told-row").hidden = false;
  find("told").append(make("option", { value: -1, "data-t": "untold" }), ...classes.map((name, c) => make("option", { value: c }, name)));
  find("told").addEventListener("change", update);
}

// --- the code ------------------------------------------------------------------------------------------------------

const SHOWN = 12; // sliders that are not folded away
const sliders = order.map((latent, place) => {
  const [least, most] = [low[latent], high[latent]];
  const shown = make("output"), input = make("input", {
    type: "range", min: least, max: most, step: (most - least) / 200, id: `latent-${latent}`,
    oninput: () => { const moved = [...code]; moved[latent] = Number(input.value); setCode(moved); },
  });
  const name = make("span");
  find(place < SHOWN ? "latents" : "other-latents").append(make("label", { class: "slider latent" }, name, input, shown));
  return { latent, input, shown, name };
});
find("more-latents").hidden = latents <= SHOWN;

// Shows a code everywhere. What moved along the map leaves the rest of the plane as it was.
function setCode(values, fromMap = false) {
  code = Array.from(values);
  for (const { latent, input, shown } of sliders) {
    if (document.activeElement !== input) input.value = code[latent];
    const same = own && code[latent] === own[latent];
    shown.textContent = code[latent].toFixed(2) + (spread && same ? ` ± ${spread[latent].toFixed(2)}` : "");
  }
  decoder.ask("answer", given(code), ({ data: values }) => draw(find("decoded"), picturesOf(values)));
  if (!fromMap) { cursor = placeOf(code); decodePlane(); }
  drawPlaces();
}

find("return").addEventListener("click", () => setCode(own));

// --- the map -------------------------------------------------------------------------------------------------------

const { targets, places, sheet } = data.map;
const numbers = engine.decodeNumbers(data.map.codes), count = numbers.length / latents;
const codes = Array.from({ length: count }, (_, row) => numbers.subarray(row * latents, (row + 1) * latents));
const modes = [directions.length ? (latents === 2 ? "latents" : "components") : null, places ? "tsne" : null].filter(Boolean);
const palette = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];
const colorOf = (c) => (classes.length <= 10 ? palette[c] : `hsl(${(360 * c) / classes.length} 70% 50%)`);
const small = new Image();
let mode = modes[0], points = [], frame = null, cursor = [0, 0], plane = []; // plane: decoded pictures behind the points

const along = (values, direction) => direction.reduce((sum, each, i) => sum + each * (values[i] - origin[i]), 0);

// Where a code lies: on the plane exactly; on the t-SNE map among the five nearest codes, the nearer the more.
function placeOf(values) {
  if (!mode) return [0, 0];
  if (mode !== "tsne") return directions.map((direction) => along(values, direction));
  const far = codes.map((each, row) => [each.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0), row]);
  const near = far.sort((a, b) => a[0] - b[0]).slice(0, 5).map(([square, row]) => [1 / (square + 1e-9), row]);
  const all = near.reduce((sum, [weight]) => sum + weight, 0);
  return [0, 1].map((axis) => near.reduce((sum, [weight, row]) => sum + (weight / all) * places[row][axis], 0));
}

// The code at a place: the present one moved along the plane, or that of the nearest test image.
function codeAt([x, y]) {
  if (mode === "tsne") return codes[nearestTo([x, y])];
  const [before, above] = placeOf(code);
  return code.map((value, i) => value + (x - before) * directions[0][i] + (y - above) * directions[1][i]);
}

const nearestTo = ([x, y]) => points.reduce((best, [px, py], row) => {
  const far = (px - x) ** 2 + (py - y) ** 2;
  return far < best[0] ? [far, row] : best;
}, [Infinity, 0])[1];

function chooseMode(chosen) {
  mode = chosen;
  points = mode === "tsne" ? places : codes.map((each) => directions.map((direction) => along(each, direction)));
  const range = (axis) => {
    const values = points.map((each) => each[axis]), least = Math.min(...values), most = Math.max(...values);
    const edge = 0.08 * (most - least || 1);
    return [least - edge, most + edge];
  };
  frame = [range(0), range(1)];
  find("plane-row").hidden = mode === "tsne";
  find("map-note").textContent = say(`note-${mode}`);
  if (code) { cursor = placeOf(code); decodePlane(); drawPlaces(); }
}

const map = find("map");
const toCanvas = ([x, y]) => [((x - frame[0][0]) / (frame[0][1] - frame[0][0])) * map.width, (1 - (y - frame[1][0]) / (frame[1][1] - frame[1][0])) * map.height];

function drawPlaces() {
  if (!mode) return;
  const context = map.getContext("2d"), ink = getComputedStyle(document.body).color;
  context.clearRect(0, 0, map.width, map.height);
  context.imageSmoothingEnabled = false;
  for (const { place, canvas } of plane) {
    const side = map.width / PLANE, [x, y] = toCanvas(place);
    context.drawImage(canvas, x - side / 2, y - side / 2, side, side);
  }
  points.forEach((point, row) => {
    context.fillStyle = targets ? colorOf(targets[row]) : "#1f77b4";
    context.beginPath();
    context.arc(...toCanvas(point), 5, 0, 2 * Math.PI);
    context.fill();
  });
  if (own) {
    const [x, y] = toCanvas(placeOf(own));
    context.lineWidth = 3;
    context.strokeStyle = ink;
    context.fillStyle = "#ffd800";
    context.beginPath();
    for (let i = 0; i < 10; i++) {
      const radius = i % 2 ? 6 : 15, angle = (Math.PI * i) / 5;
      context.lineTo(x + radius * Math.sin(angle), y - radius * Math.cos(angle));
    }
    context.closePath();
    context.stroke();
    context.fill();
  }
  const [x, y] = toCanvas(cursor);
  context.strokeStyle = ink;
  context.lineWidth = 2;
  context.strokeRect(x - 8, y - 8, 16, 16);
  context.beginPath();
  context.moveTo(x - 14, y); context.lineTo(x + 14, y); context.moveTo(x, y - 14); context.lineTo(x, y + 14);
  context.stroke();
  showNearest();
}

function showNearest() {
  const row = nearestTo(cursor), canvas = find("nearest"), { side, across } = sheet;
  canvas.width = canvas.height = side;
  if (small.complete) canvas.getContext("2d").drawImage(small, (row % across) * side, Math.floor(row / across) * side, side, side, 0, 0, side, side);
  find("map-text").textContent = say("map-text", {
    x: cursor[0].toFixed(2), y: cursor[1].toFixed(2), name: targets ? classes[targets[row]] : `${row + 1}`, error: data.map.errors[row].toFixed(5),
  });
}

const PLANE = 11; // pictures along each side of the plane
function decodePlane() {
  if (!find("plane").checked || mode === "tsne" || !mode) { plane = []; return; }
  const grid = Array.from({ length: PLANE * PLANE }, (_, i) => [i % PLANE, Math.floor(i / PLANE)].map((at, axis) => frame[axis][0] + ((at + 0.5) / PLANE) * (frame[axis][1] - frame[axis][0])));
  decoder.ask("each", grid.map((place) => given(codeAt(place))), (found) => {
    plane = found.map(({ data: values }, i) => { const canvas = make("canvas"); draw(canvas, picturesOf(values)); return { place: grid[i], canvas }; });
    drawPlaces();
  }, "plane");
}

// A pointer shows what is there, and a click keeps it.
let kept = null;
function visit(place, keep) {
  cursor = place;
  const values = codeAt(place);
  if (mode === "tsne" && conditional && targets) find("told").value = targets[nearestTo(place)];
  if (keep) kept = values;
  setCode(values, true);
}
const pointed = ({ clientX, clientY }) => {
  const { left, top, width, height } = map.getBoundingClientRect();
  const [[l, r], [b, t]] = frame;
  return [l + ((clientX - left) / width) * (r - l), t - ((clientY - top) / height) * (t - b)];
};
map.addEventListener("pointerenter", () => { kept = code; });
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); visit(pointed(event), true); });
map.addEventListener("pointermove", (event) => visit(pointed(event), event.buttons > 0));
map.addEventListener("pointerleave", () => { if (kept) setCode(kept); kept = null; });
map.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (!step) return;
  event.preventDefault();
  visit(cursor.map((value, axis) => Math.min(frame[axis][1], Math.max(frame[axis][0], value + (step[axis] * (frame[axis][1] - frame[axis][0])) / 40))), true);
});
find("mode").append(...modes.map((each) => make("option", { value: each, "data-t": `mode-${each}` })));
find("mode").addEventListener("change", ({ target }) => chooseMode(target.value));
find("plane").addEventListener("change", () => { decodePlane(); drawPlaces(); });
find("map-section").hidden = !mode;
small.addEventListener("load", () => mode && code && showNearest());
small.src = sheet.url;
if (targets && classes.length <= 30) {
  find("legend").append(...classes.map((name, c) => make("span", {}, make("span", { style: `display:inline-block;width:.8em;height:.8em;border-radius:50%;background:${colorOf(c)}` }), ` ${name}`)));
}

// --- a walk --------------------------------------------------------------------------------------------------------

const STRIP = 9;
const walk = { from: null, to: null };
const strip = Array.from({ length: STRIP }, () => make("canvas", { role: "img" }));
find("strip").append(...strip);
const mixed = (share) => walk.from.map((value, i) => (1 - share) * value + share * walk.to[i]);

function showWalk() {
  if (!walk.from || !walk.to) return;
  const steps = strip.map((_, i) => given(mixed(i / (STRIP - 1))));
  decoder.ask("each", steps, (found) => found.forEach(({ data: values }, i) => draw(strip[i], picturesOf(values))), "walk");
}
find("walk-from").addEventListener("click", () => { walk.from = code; showWalk(); });
find("walk-to").addEventListener("click", () => { walk.to = code; showWalk(); });
slider("walk-slider", "way", 0, 100, 1, 0, " %", (value) => { if (walk.from && walk.to) setCode(mixed(value / 100)); });

// --- samples of the prior ------------------------------------------------------------------------------------------

let seed = 0;
const drawn = variational ? Array.from({ length: 16 }, () => {
  const canvas = make("canvas", { style: "width:56px;height:56px" });
  const button = make("button", { type: "button", class: "picture", onclick: () => setCode(button.code) }, canvas);
  find("drawn").append(button);
  return { button, canvas };
}) : [];

function sample() {
  const normal = normals(seed);
  for (const { button } of drawn) button.code = Array.from({ length: latents }, normal);
  find("seed").textContent = say("seed", { seed });
  decoder.ask("each", drawn.map(({ button }) => given(button.code)), (found) => found.forEach(({ data: values }, i) => draw(drawn[i].canvas, picturesOf(values))), "samples");
}
find("sampling").hidden = !variational;
find("draw-samples").addEventListener("click", () => { seed++; sample(); });

// --- all of it -----------------------------------------------------------------------------------------------------

changed.push(() => {
  for (const { latent, input, name } of sliders) { name.textContent = say("latent", { number: latent + 1 }); input.setAttribute("aria-label", name.textContent); }
  strip.forEach((canvas, i) => canvas.setAttribute("aria-label", say("walk-step", { share: percent(i / (STRIP - 1)) })));
  drawn.forEach(({ button }, i) => button.setAttribute("aria-label", say("drawn-one", { number: i + 1 })));
  find("more-title").textContent = say("more-latents", { count: latents - SHOWN });
  find("code-note").textContent = say(variational ? "code-variational" : "code-note", { count: latents });
  if (mode) chooseMode(mode);
  if (own) update();
  if (variational) sample();
});
const board = makeBoard(data, (picture) => {
  const chosen = data.samples.find((each) => each.picture === picture);
  if (chosen && conditional) find("told").value = classes.indexOf(chosen.name);
  clean = pixelsOf(picture);
  update();
});
board.begin();
encoder.ask("each", data.samples.slice(0, 2).map((each) => conditional ? given(pixelsOf(each.picture).data, classes.indexOf(each.name)) : pixelsOf(each.picture)), (found) => {
  [walk.from, walk.to] = found.map(({ data: values }) => Array.from(values.subarray(0, latents)));
  showWalk();
});
