"use strict";
/* Pictures as the program makes them: {width, height, channels, data}, data a Uint8ClampedArray in row-major order,
 * the channels of a pixel one after the other. No canvas ever scales or mixes what the network sees. */
const images = (() => {
  // The shares that the pixels from `first` on have in each of `size` pixels that lie over low..high:
  // a triangle as wide as two of the larger pixels, so that nothing is skipped (antialiased bilinear).
  // They are integers with `bits` after the point, as in Pillow and in torch.
  function shares(length, low, high, size, most = Infinity) {
    const scale = (high - low) / size, wide = Math.max(scale, 1);
    const rows = Array.from({ length: size }, (_, place) => {
      const center = low + (place + 0.5) * scale;
      const first = Math.max(0, Math.trunc(center - wide + 0.5));
      const end = Math.min(length, Math.trunc(center + wide + 0.5));
      const weights = [];
      for (let x = first; x < end; x++) weights.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / wide)));
      const sum = weights.reduce((all, each) => all + each, 0);
      return { first, weights: weights.map((each) => each / sum) };
    });
    const largest = rows.reduce((best, { weights }) => Math.max(best, ...weights), 0);
    let bits = 0;
    while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) <= most) bits++;
    for (const row of rows) row.weights = row.weights.map((each) => Math.trunc(0.5 + each * 2 ** bits));
    return { rows, bits };
  }

  const picture = (width, height, channels) =>
    ({ width, height, channels, data: new Uint8ClampedArray(width * height * channels) });

  // Each value of the result is a weighted sum of `from` along a row (step 1 pixel) or a column (step 1 line).
  function weigh(from, { rows, bits }, width, height, downwards) {
    const out = picture(width, height, from.channels), { channels } = from;
    const step = (downwards ? from.width : 1) * channels;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const { first, weights } = rows[downwards ? y : x];
        const start = (downwards ? first * from.width + x : y * from.width + first) * channels;
        for (let c = 0; c < channels; c++) {
          let sum = 2 ** (bits - 1);
          for (let i = 0; i < weights.length; i++) sum += from.data[start + i * step + c] * weights[i];
          out.data[(y * width + x) * channels + c] = Math.floor(sum / 2 ** bits);
        }
      }
    }
    return out;
  }

  // Scales the part `box` (left, top, right, bottom) of a picture, as Pillow does: each direction by itself, the
  // one that leaves fewer pixels first.
  function resize(from, width, height, box = [0, 0, from.width, from.height]) {
    const columns = shares(from.width, box[0], box[2], width), lines = shares(from.height, box[1], box[3], height);
    const sideways = (x) =>
      width === x.width && box[0] === 0 && box[2] === width ? x : weigh(x, columns, width, x.height, false);
    const downwards = (x) =>
      height === x.height && box[1] === 0 && box[3] === height ? x : weigh(x, lines, x.width, height, true);
    const linesFirst = from.height - height > 2 * Math.max(0, from.width - width);
    return linesFirst ? sideways(downwards(from)) : downwards(sideways(from));
  }

  // A square of a picture: its middle (crop), all of it with black beside it (pad), or all of it, made square (stretch).
  function fit(from, size, how) {
    const { width, height, channels } = from;
    if (how === "stretch" || width === height) return resize(from, size, size);
    if (how === "crop") {
      const side = Math.min(width, height), left = (width - side) / 2, top = (height - side) / 2;
      return resize(from, size, size, [left, top, left + side, top + side]);
    }
    const ratio = size / Math.max(width, height);
    const small = resize(from, Math.max(1, pythonRound(width * ratio)), Math.max(1, pythonRound(height * ratio)));
    const out = picture(size, size, channels);
    const left = pythonRound((size - small.width) / 2), top = pythonRound((size - small.height) / 2);
    for (let y = 0; y < small.height; y++) {
      out.data.set(
        small.data.subarray(y * small.width * channels, (y + 1) * small.width * channels),
        ((y + top) * size + left) * channels
      );
    }
    return out;
  }

  // All of a picture in a square, scaled as torch does it (its integers have 16 bits, and lines come last), between
  // grey bars. Returns the square, and how it was fitted: scale, and the bars' left and top.
  function letterbox(from, size, grey) {
    const scale = size / Math.max(from.width, from.height);
    const width = Math.max(1, pythonRound(from.width * scale)), height = Math.max(1, pythonRound(from.height * scale));
    const most = 2 ** 15 - 1;
    const wide = width === from.width ? from : weigh(from, shares(from.width, 0, from.width, width, most), width, from.height, false);
    const small = height === from.height ? wide : weigh(wide, shares(from.height, 0, from.height, height, most), width, height, true);
    const out = picture(size, size, from.channels), left = Math.floor((size - width) / 2), top = Math.floor((size - height) / 2);
    out.data.fill(grey);
    for (let y = 0; y < height; y++) {
      const start = y * width * from.channels;
      out.data.set(small.data.subarray(start, start + width * from.channels), ((y + top) * size + left) * from.channels);
    }
    return { square: out, scale, left, top };
  }

  // Halves go to the even neighbour.
  function pythonRound(value) {
    const down = Math.floor(value);
    if (value - down !== 0.5) return Math.round(value);
    return down % 2 ? down + 1 : down;
  }

  // Transparency over white, then color or its luma (ITU-R 601-2), as Pillow's modes RGB and L.
  function flatten({ width, height, data }, channels) {
    const out = picture(width, height, channels);
    for (let i = 0; i < width * height; i++) {
      const alpha = data[4 * i + 3];
      const color = [0, 1, 2].map((c) => {
        const mixed = data[4 * i + c] * alpha + 255 * (255 - alpha) + 128;
        return alpha === 255 ? data[4 * i + c] : ((mixed >> 8) + mixed) >> 8;
      });
      if (channels === 3) out.data.set(color, 3 * i);
      else out.data[i] = (color[0] * 19595 + color[1] * 38470 + color[2] * 7471 + 0x8000) >> 16;
    }
    return out;
  }

  // Lines through points, (x, y) in pixels of the square, as wide as 2 * radius, with soft edges: 0 to 255.
  function rasterize(lines, size, radius) {
    const out = picture(size, size, 1);
    for (const line of lines) {
      for (let i = 0; i < line.length; i++) {
        const [ax, ay] = line[i], [bx, by] = line[Math.min(i + 1, line.length - 1)];
        const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
        const reach = radius + 1;
        for (let y = Math.max(0, Math.floor(Math.min(ay, by) - reach)); y < Math.min(size, Math.max(ay, by) + reach); y++) {
          for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - reach)); x < Math.min(size, Math.max(ax, bx) + reach); x++) {
            const px = x + 0.5 - ax, py = y + 0.5 - ay;
            const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
            const distance = Math.hypot(px - along * dx, py - along * dy);
            const ink = 255 * Math.min(1, Math.max(0, radius + 0.5 - distance));
            out.data[y * size + x] = Math.max(out.data[y * size + x], ink);
          }
        }
      }
    }
    return out;
  }

  // Moves, turns and scales a picture about its middle; what comes from outside is `ground`. Bilinear.
  function transform(from, { dx, dy, degrees, scale }, ground) {
    if (!dx && !dy && !degrees && scale === 1) return from;
    const out = picture(from.width, from.height, from.channels);
    const angle = (-degrees * Math.PI) / 180, cos = Math.cos(angle) / scale, sin = Math.sin(angle) / scale;
    const mx = from.width / 2, my = from.height / 2;
    const at = (x, y, c) =>
      x < 0 || y < 0 || x >= from.width || y >= from.height ? ground : from.data[(y * from.width + x) * from.channels + c];
    for (let y = 0; y < from.height; y++) {
      for (let x = 0; x < from.width; x++) {
        const u = x + 0.5 - mx - dx, v = y + 0.5 - my - dy;
        const sx = cos * u - sin * v + mx - 0.5, sy = sin * u + cos * v + my - 0.5;
        const left = Math.floor(sx), top = Math.floor(sy), right = sx - left, down = sy - top;
        for (let c = 0; c < from.channels; c++) {
          out.data[(y * from.width + x) * from.channels + c] =
            (at(left, top, c) * (1 - right) + at(left + 1, top, c) * right) * (1 - down) +
            (at(left, top + 1, c) * (1 - right) + at(left + 1, top + 1, c) * right) * down;
        }
      }
    }
    return out;
  }

  // What the network is given: maps of (value / 255 - mean) / std for each channel.
  function normalize(from, mean, std) {
    const each = from.width * from.height, data = new Float32Array(each * from.channels);
    for (let c = 0; c < from.channels; c++) {
      for (let i = 0; i < each; i++) data[c * each + i] = (from.data[i * from.channels + c] / 255 - mean[c]) / std[c];
    }
    return { shape: [from.channels, from.height, from.width], data };
  }

  return { picture, resize, fit, letterbox, flatten, rasterize, transform, normalize };
})();
if (typeof module !== "undefined") module.exports = images;
