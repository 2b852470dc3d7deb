"use strict";
/* What the pages of several labs share: bars, sliders, pictures and maps on canvases, and the board to draw on. */

const percent = (value) => `${(100 * value).toFixed(1)} %`;

function softmax(values) {
  const largest = Math.max(...values), powers = Array.from(values, (value) => Math.exp(value - largest));
  const sum = powers.reduce((all, each) => all + each, 0);
  return powers.map((each) => each / sum);
}

// Bars with a name and a number; of many, the ones that matter most. Negative ones have another color.
function bars(place, rows, text, largest, most = 10) {
  const sorted = rows.length > most ? [...rows].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, most) : rows;
  find(place).replaceChildren(...sorted.map(([name, value]) => {
    const width = `width:${(100 * Math.min(1, Math.abs(value) / (largest || 1))).toFixed(1)}%`;
    return make("li", {}, make("span", {}, name), make("span", { class: value < 0 ? "bar less" : "bar", style: width }), make("span", { class: "number" }, text(value)));
  }));
}

// A slider with its name, a text of the page, and its value; `change` is called with what it is moved to.
function slider(place, key, low, high, step, value, unit, change) {
  const shown = make("output", {}, `${value}${unit}`);
  const input = make("input", {
    type: "range", min: low, max: high, step, value, "data-label": key, id: `slider-${key}`,
    oninput: () => { shown.textContent = `${input.value}${unit}`; change(Number(input.value)); },
  });
  find(place).append(make("label", { class: "slider" }, make("span", { "data-t": key }), input, shown));
  return { input, shown };
}

// Draws a picture (see images.js), a pixel for a pixel.
function draw(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d"), pixels = context.createImageData(picture.width, picture.height);
  for (let i = 0; i < picture.width * picture.height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = picture.data[i * picture.channels + (picture.channels === 3 ? c : 0)];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

// Draws numbers: orange above zero, blue below, brightest at `largest`.
function drawMap(canvas, values, width, height, largest) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const share = Math.min(1, Math.abs(values[i]) / (largest || 1));
    const [r, g, b] = values[i] < 0 ? [86, 180, 233] : [255, 176, 80];
    pixels.data.set([r * share, g * share, b * share, 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

// A picture from base64 of its pixels, the channels of a pixel one after the other.
function decodePicture(text, size, channels) {
  const pixels = Uint8ClampedArray.from(atob(text), (character) => character.charCodeAt(0));
  return { width: size, height: size, channels, data: pixels };
}

// A file, decoded by the browser at its own size: the program's arithmetic makes everything else of it.
async function readPicture(file, channels) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return images.flatten(context.getImageData(0, 0, bitmap.width, bitmap.height), channels);
}

/*
 * A board to draw on, with test images and files. It needs the elements board, clear, undo, file, centre, centred,
 * samples and note of the page, and calls `change` with the picture that the network is to see.
 * options: {size, channels, ground (255 where ink is dark), fit, samples: [{name, pixels}]}
 */
function makeBoard(options, change) {
  const { size, channels, ground, fit, samples } = options;
  const RADIUS = 1.15 / 28; // of a stroke, as a share of the side: about that of MNIST's digits
  const board = find("board");
  let lines = [], picture = null, drawing = false;
  const squared = (all) => all.map((line) => line.map(([x, y]) => [x * size, y * size]));

  // Moves a drawing as MNIST's digits were: 20 of 28 pixels long, its center of mass in the middle.
  function centre() {
    const points = lines.flat();
    const span = (axis) => [Math.min(...points.map((each) => each[axis])), Math.max(...points.map((each) => each[axis]))];
    const [left, right] = span(0), [top, bottom] = span(1);
    const factor = Math.min(20, (20 / 28 - 2 * RADIUS) / Math.max(right - left, bottom - top, 1e-6));
    const scaled = lines.map((line) => line.map(([x, y]) => [(x - (left + right) / 2) * factor + 0.5, (y - (top + bottom) / 2) * factor + 0.5]));
    const ink = images.rasterize(squared(scaled), size, RADIUS * size);
    let sum = 0, sx = 0, sy = 0;
    ink.data.forEach((value, i) => { sum += value; sx += value * ((i % size) + 0.5); sy += value * (Math.floor(i / size) + 0.5); });
    const dx = 0.5 - sx / sum / size, dy = 0.5 - sy / sum / size;
    return scaled.map((line) => line.map(([x, y]) => [x + dx, y + dy]));
  }

  function made() {
    if (picture) return picture;
    const moved = find("centre").checked && channels === 1 && lines.length ? centre() : lines;
    const ink = images.rasterize(squared(moved), size, RADIUS * size), out = images.picture(size, size, channels);
    ink.data.forEach((value, i) => {
      for (let c = 0; c < channels; c++) out.data[i * channels + c] = ground ? 255 - value : value;
    });
    return out;
  }

  function show() {
    const context = board.getContext("2d");
    context.fillStyle = ground ? "#fff" : "#000";
    context.fillRect(0, 0, board.width, board.height);
    if (picture) {
      const small = document.createElement("canvas");
      draw(small, picture);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, board.width, board.height);
    } else {
      context.strokeStyle = ground ? "#000" : "#fff";
      context.lineWidth = 2 * RADIUS * board.width;
      context.lineCap = context.lineJoin = "round";
      for (const line of lines) {
        context.beginPath();
        line.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * board.width, y * board.height));
        if (line.length === 1) context.lineTo(line[0][0] * board.width, line[0][1] * board.height);
        context.stroke();
      }
    }
    change(made());
  }

  const choose = (chosen, drawn = []) => { picture = chosen; lines = drawn; show(); };
  const read = (file) => file && readPicture(file, channels)
    .then((found) => { find("note").textContent = ""; choose(images.fit(found, size, fit)); })
    .catch(() => { find("note").textContent = say("unreadable", { name: file.name }); });
  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = board.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  };

  board.addEventListener("pointerdown", (event) => {
    board.setPointerCapture(event.pointerId);
    drawing = true;
    choose(null, [...(picture ? [] : lines), [at(event)]]);
  });
  board.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) lines[lines.length - 1].push(at(each));
    show();
  });
  for (const name of ["pointerup", "pointercancel"]) board.addEventListener(name, () => { drawing = false; });
  board.addEventListener("keydown", ({ key }) => {
    if (/^[0-9]$/.test(key) && samples[Number(key)]) choose(samples[Number(key)].picture);
    if (key === "Backspace" || key === "Delete") choose(null);
  });
  board.addEventListener("dragover", (event) => event.preventDefault());
  board.addEventListener("drop", (event) => { event.preventDefault(); read(event.dataTransfer.files[0]); });
  find("file").addEventListener("change", ({ target }) => read(target.files[0]));
  find("clear").addEventListener("click", () => choose(null));
  find("undo").addEventListener("click", () => choose(null, lines.slice(0, -1)));
  find("centre").addEventListener("change", show);
  find("centred").hidden = channels !== 1;
  samples.forEach((sample, number) => {
    sample.picture = decodePicture(sample.pixels, size, channels);
    const canvas = make("canvas", { style: "width:40px;height:40px" }), label = `${number}: ${sample.name}`;
    draw(canvas, sample.picture);
    find("samples").append(make("button", { type: "button", class: "picture", title: label, "aria-label": label, onclick: () => choose(sample.picture) }, canvas));
  });
  return { begin: () => choose(samples.length ? samples[0].picture : null) };
}
