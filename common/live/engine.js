"use strict";
/*
 * The arithmetic of a trained network, as plain functions on arrays of numbers.
 *
 * A tensor is {shape, data}: data is a Float32Array in row-major order, without a batch: maps are
 * [channels, height, width], vectors [features], sequences [steps, features]. A program is a list of
 * steps, each an operation with the numbers of the steps that it takes (-1 is the program's input; of
 * several inputs -1 is the first, -2 the second), its attributes and its weights; `run` returns what
 * each step gives, so that a page can show all.
 */
const engine = (() => {
  const tensor = (shape, data) => ({
    shape,
    data: data || new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });

  const map = (x, change) => {
    const out = tensor(x.shape);
    for (let i = 0; i < x.data.length; i++) out.data[i] = change(x.data[i]);
    return out;
  };

  // How many values lie before, along and behind a dimension: data[(o * along + a) * inner + i].
  const around = (shape, dimension) => {
    const product = (sizes) => sizes.reduce((all, size) => all * size, 1);
    return [product(shape.slice(0, dimension)), shape[dimension], product(shape.slice(dimension + 1))];
  };

  const outputSize = (size, kernel, stride, padding, dilation, ceil) => {
    const steps = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
    let out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (ceil && (out - 1) * stride >= size + padding) out--; // no window may begin in the padding
    return out;
  };

  // The error function, Abramowitz and Stegun 7.1.26 refined by its series where that is exact.
  const erf = (x) => {
    const z = Math.abs(x);
    if (z > 4) return Math.sign(x);
    let term = z, sum = z; // erf(z) = 2 / sqrt(pi) * sum over n of (-1)^n z^(2n + 1) / (n! (2n + 1))
    for (let n = 1; n < 100 && Math.abs(term) > 1e-17; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  };

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  const activations = {
    relu: (x) => Math.max(0, x),
    relu6: (x) => Math.min(6, Math.max(0, x)),
    leaky_relu: (x, { slope }) => (x > 0 ? x : slope * x),
    elu: (x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x)),
    sigmoid,
    tanh: Math.tanh,
    scaled_tanh: (x, { amplitude, slope }) => amplitude * Math.tanh(slope * x),
    silu: (x) => x * sigmoid(x), // x * sigmoid(x)
    gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), // x * the standard normal's share below x
    hardsigmoid: (x) => Math.min(1, Math.max(0, x / 6 + 0.5)),
    hardswish: (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
    identity: (x) => x,
  };

  const operations = {
    // out[o, y, x] = bias[o] + sum over i, v, u of weight[o, i, v, u]
    //                * in[i, y * stride + v * dilation - padding, x * stride + u * dilation - padding]
    // A tap is a weight's place in the kernel: for four taps the input is laid as the output is, and each output adds them.
    conv2d([x], { weight, bias }, { stride, padding, dilation, groups }) {
      const [, height, width] = x.shape, [outputs, inputs, kh, kw] = weight.shape;
      const h = outputSize(height, kh, stride[0], padding[0], dilation[0]);
      const w = outputSize(width, kw, stride[1], padding[1], dilation[1]);
      const size = h * w, taps = inputs * kh * kw, each = outputs / groups;
      const sums = new Float64Array(outputs * size), laid = [0, 1, 2, 3].map(() => new Float32Array(size));
      const [a, b, c, d] = laid;
      if (bias) bias.data.forEach((value, o) => sums.fill(value, o * size, (o + 1) * size));
      for (let group = 0; group < groups; group++) {
        for (let tap = 0; tap < taps; tap += 4) {
          laid.forEach((values, i) => lay(x, group * inputs, tap + i, weight.shape, { stride, padding, dilation }, w, values));
          for (let o = group * each; o < (group + 1) * each; o++) {
            const [p, q, r, s] = [0, 1, 2, 3].map((i) => (tap + i < taps ? weight.data[o * taps + tap + i] : 0));
            for (let i = 0, at = o * size; i < size; i++, at++) sums[at] += p * a[i] + q * b[i] + r * c[i] + s * d[i];
          }
        }
      }
      return tensor([outputs, h, w], new Float32Array(sums));
    },

    // Each value of the input is laid, times the kernel, over the output:
    // out[o, y * stride + v * dilation - padding, ...] += weight[i, o, v, u] * in[i, y, x]
    conv_transpose2d([x], { weight, bias }, { stride, padding, output_padding, dilation, groups }) {
      const [inputs, height, width] = x.shape;
      const [, each, kh, kw] = weight.shape;
      const extent = (from, k, d) =>
        (from - 1) * stride[d] - 2 * padding[d] + dilation[d] * (k - 1) + output_padding[d] + 1;
      const h = extent(height, kh, 0), w = extent(width, kw, 1);
      const out = tensor([each * groups, h, w]), sums = new Float64Array(h * w), size = height * width;
      const laid = new Float64Array(size); // what a tap adds to the output, for each place of the input
      for (let o = 0; o < each * groups; o++) {
        sums.fill(bias ? bias.data[o] : 0);
        const first = Math.floor(o / each) * (inputs / groups);
        for (let tap = 0; tap < kh * kw; tap++) {
          laid.fill(0);
          for (let i = first; i < first + inputs / groups; i++) {
            const share = weight.data[(i * each + (o % each)) * kh * kw + tap];
            for (let place = 0, at = i * size; place < size; place++, at++) laid[place] += share * x.data[at];
          }
          const top = Math.floor(tap / kw) * dilation[0] - padding[0], left = (tap % kw) * dilation[1] - padding[1];
          for (let place = 0; place < size; place++) {
            const row = Math.floor(place / width) * stride[0] + top, column = (place % width) * stride[1] + left;
            if (row >= 0 && row < h && column >= 0 && column < w) sums[row * w + column] += laid[place];
          }
        }
        out.data.set(sums, o * h * w);
      }
      return out;
    },

    // A convolution whose every place has weights of its own: weight [outputs, inputs * k * k, places].
    locally_connected([x], { weight, bias }, { kernel, padding }) {
      const [inputs, height, width] = x.shape;
      const h = outputSize(height, kernel, 1, padding, 1), w = outputSize(width, kernel, 1, padding, 1);
      const [outputs, taps, places] = weight.shape;
      const out = tensor([outputs, h, w]);
      for (let o = 0; o < outputs; o++) {
        for (let y = 0; y < h; y++) {
          for (let c = 0; c < w; c++) {
            const place = y * w + c;
            let sum = bias.data[o * places + place];
            for (let tap = 0; tap < taps; tap++) {
              const i = Math.floor(tap / (kernel * kernel)), within = tap % (kernel * kernel);
              const row = y + Math.floor(within / kernel) - padding, column = c + (within % kernel) - padding;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              sum += weight.data[(o * taps + tap) * places + place] * x.data[(i * height + row) * width + column];
            }
            out.data[o * places + place] = sum;
          }
        }
      }
      return out;
    },

    // The largest value of each window.
    max_pool2d: ([x], _, attributes) =>
      pool(x, attributes, (values) => values.reduce((best, value) => Math.max(best, value), -Infinity)),

    // The mean of each window; zeros of the padding count where `count_include_pad` says so.
    avg_pool2d: ([x], _, attributes) =>
      pool(x, attributes, (values, size) => {
        const sum = values.reduce((all, value) => all + value, 0);
        return sum / (attributes.count_include_pad ? size : values.length);
      }),

    // The mean of 2 x 2 values, times a weight of the map, plus a bias of the map.
    subsample([x], { weight, bias }) {
      const attributes = { kernel: [2, 2], stride: [2, 2], padding: [0, 0], ceil: false, count_include_pad: true };
      const out = operations.avg_pool2d([x], {}, attributes), each = out.data.length / x.shape[0];
      out.data.forEach((value, i) => {
        const c = Math.floor(i / each);
        out.data[i] = value * weight.data[c] + bias.data[c];
      });
      return out;
    },

    // The mean of each of size x size parts, which may share a row or a column.
    adaptive_avg_pool2d([x], _, { size }) {
      const [channels, height, width] = x.shape;
      const [h, w] = size.map((each, d) => each === null ? x.shape[d + 1] : each);
      const out = tensor([channels, h, w]);
      for (let c = 0; c < channels; c++) {
        for (let y = 0; y < h; y++) {
          const top = Math.floor((y * height) / h), bottom = Math.ceil(((y + 1) * height) / h);
          for (let z = 0; z < w; z++) {
            const left = Math.floor((z * width) / w), right = Math.ceil(((z + 1) * width) / w);
            let sum = 0;
            for (let row = top; row < bottom; row++) {
              for (let column = left; column < right; column++) sum += x.data[(c * height + row) * width + column];
            }
            out.data[(c * h + y) * w + z] = sum / ((bottom - top) * (right - left));
          }
        }
      }
      return out;
    },

    // (x - mean) / sqrt(variance + eps) * weight + bias, with the mean and variance of training.
    batch_norm([x], { mean, variance, weight, bias }, { eps }) {
      const out = tensor(x.shape);
      const each = x.data.length / x.shape[0];
      for (let c = 0; c < x.shape[0]; c++) {
        const factor = (weight ? weight.data[c] : 1) / Math.sqrt(variance.data[c] + eps);
        const shift = (bias ? bias.data[c] : 0) - mean.data[c] * factor;
        for (let i = c * each; i < (c + 1) * each; i++) out.data[i] = x.data[i] * factor + shift;
      }
      return out;
    },

    // (x - mean) / sqrt(variance + eps) * weight + bias, over the last `size` values of each row.
    layer_norm([x], { weight, bias }, { size, eps }) {
      const out = tensor(x.shape);
      for (let start = 0; start < x.data.length; start += size) {
        const [mean, scale] = moments(x.data, start, size, eps);
        for (let i = 0; i < size; i++) {
          const value = (x.data[start + i] - mean) * scale;
          out.data[start + i] = value * (weight ? weight.data[i] : 1) + (bias ? bias.data[i] : 0);
        }
      }
      return out;
    },

    // As layer_norm, over the maps of each of `groups` groups of channels.
    group_norm([x], { weight, bias }, { groups, eps }) {
      const out = tensor(x.shape);
      const size = x.data.length / groups, each = x.data.length / x.shape[0];
      for (let start = 0; start < x.data.length; start += size) {
        const [mean, scale] = moments(x.data, start, size, eps);
        for (let i = start; i < start + size; i++) {
          const c = Math.floor(i / each);
          out.data[i] = (x.data[i] - mean) * scale * (weight ? weight.data[c] : 1) + (bias ? bias.data[c] : 0);
        }
      }
      return out;
    },

    // out[o] = bias[o] + sum over i of weight[o, i] * in[i], of each row.
    linear([x], { weight, bias }) {
      const [outputs, inputs] = weight.shape;
      const rows = x.data.length / inputs;
      const out = tensor([...x.shape.slice(0, -1), outputs]);
      for (let row = 0; row < rows; row++) {
        for (let o = 0; o < outputs; o++) {
          let sum = bias ? bias.data[o] : 0;
          for (let i = 0; i < inputs; i++) sum += weight.data[o * inputs + i] * x.data[row * inputs + i];
          out.data[row * outputs + o] = sum;
        }
      }
      return out;
    },

    // The squared distance to the code of each class, taken from zero.
    code_distances([x], { codes }) {
      const [classes, size] = codes.shape;
      const out = tensor([classes]);
      for (let c = 0; c < classes; c++) {
        for (let i = 0; i < size; i++) out.data[c] -= (x.data[i] - codes.data[c * size + i]) ** 2;
      }
      return out;
    },

    activation: ([x], _, attributes) => map(x, (value) => activations[attributes.kind](value, attributes)),

    // exp(x) / sum of exp(x), along the last dimension.
    softmax([x]) {
      const out = tensor(x.shape);
      const size = x.shape[x.shape.length - 1];
      for (let start = 0; start < x.data.length; start += size) {
        const row = x.data.subarray(start, start + size);
        const largest = row.reduce((best, value) => Math.max(best, value), -Infinity);
        const powers = Array.from(row, (value) => Math.exp(value - largest));
        const sum = powers.reduce((all, value) => all + value, 0);
        powers.forEach((value, i) => { out.data[start + i] = value / sum; });
      }
      return out;
    },

    // x - log of the sum of exp(x): the logarithm of softmax.
    log_softmax([x]) {
      const largest = x.data.reduce((best, value) => Math.max(best, value), -Infinity);
      const sum = x.data.reduce((all, value) => all + Math.exp(value - largest), 0);
      return map(x, (value) => value - largest - Math.log(sum));
    },

    // out = sum over inputs of share * input
    weighted_sum(inputs, _, { shares }) {
      const out = tensor(inputs[0].shape);
      const sums = new Float64Array(out.data.length);
      inputs.forEach((each, number) => each.data.forEach((value, i) => { sums[i] += shares[number] * value; }));
      out.data.set(sums);
      return out;
    },

    // out[t] = weight[x[t]]: the row of a number
    embedding([x], { weight }) {
      const size = weight.shape[1];
      const out = tensor([x.data.length, size]);
      x.data.forEach((row, t) => out.data.set(weight.data.subarray(row * size, (row + 1) * size), t * size));
      return out;
    },

    // out[t] is 1 at place x[t], else 0; all 0 where x[t] is the padding
    one_hot([x], _, { size, padding }) {
      const out = tensor([x.data.length, size]);
      x.data.forEach((place, t) => { if (place !== padding) out.data[t * size + place] = 1; });
      return out;
    },

    // The sum or the mean of columns, a column for each number x[t]; `scaled` divides by the length of what they count:
    // out[o] = bias[o] + sum over t of weight[o, x[t]] / (1, or the number of t, or the root of the sum of counts[x[t]]^2)
    embedding_bag([x], { weight, bias, counts }, { mode }) {
      const [outputs, columns] = weight.shape;
      const squares = counts ? x.data.reduce((sum, place) => sum + counts.data[place] ** 2, 0) : 0;
      const by = { sum: 1, mean: Math.max(1, x.data.length), scaled: Math.sqrt(squares) || 1 }[mode];
      const out = tensor([outputs]);
      for (let o = 0; o < outputs; o++) {
        const sum = x.data.reduce((all, place) => all + weight.data[o * columns + place], 0);
        out.data[o] = sum / by + (bias ? bias.data[o] : 0);
      }
      return out;
    },

    // The recurrent cells; in each, a = W x[t] + b and u = U h + c, cut into a part for each gate.

    // n = tanh(a + u)
    // h = n
    rnn: (inputs, weights, attributes) => recur(inputs, weights, attributes, ["candidate"], (a, u, state, gates) => {
      gates.candidate = Math.tanh(a[0] + u[0]);
      state.hidden = gates.candidate;
    }),

    // i = sigmoid(a_i + u_i),  f = sigmoid(a_f + u_f),  g = tanh(a_g + u_g),  o = sigmoid(a_o + u_o)
    // c = f c + i g
    // h = o tanh(c)
    lstm: (inputs, weights, attributes) => recur(inputs, weights, attributes, ["input", "forget", "candidate", "output"], (a, u, state, gates) => {
      gates.input = sigmoid(a[0] + u[0]);
      gates.forget = sigmoid(a[1] + u[1]);
      gates.candidate = Math.tanh(a[2] + u[2]);
      gates.output = sigmoid(a[3] + u[3]);
      state.cell = gates.forget * state.cell + gates.input * gates.candidate;
      state.hidden = gates.output * Math.tanh(state.cell);
    }, true),

    // r = sigmoid(a_r + u_r),  z = sigmoid(a_z + u_z),  n = tanh(a_n + r u_n)
    // h = (1 - z) n + z h
    gru: (inputs, weights, attributes) => recur(inputs, weights, attributes, ["reset", "update", "candidate"], (a, u, state, gates) => {
      gates.reset = sigmoid(a[0] + u[0]);
      gates.update = sigmoid(a[1] + u[1]);
      gates.candidate = Math.tanh(a[2] + gates.reset * u[2]);
      state.hidden = (1 - gates.update) * gates.candidate + gates.update * state.hidden;
    }),

    // out[i] = the mean over t of in[t, i]; of no steps 0
    mean_steps([x]) {
      const [steps, size] = x.shape;
      const sums = new Float64Array(size);
      x.data.forEach((value, i) => { sums[i % size] += value; });
      return tensor([size], Float32Array.from(sums, (sum) => sum / Math.max(1, steps)));
    },

    // out[i] = the largest over t of in[t, i]; of no steps 0
    max_steps([x]) {
      const [steps, size] = x.shape;
      const out = tensor([size]);
      if (steps) out.data.fill(-Infinity);
      x.data.forEach((value, i) => { out.data[i % size] = Math.max(out.data[i % size], value); });
      return out;
    },

    // The state that each direction ends with: the last step, and of one that reads leftward the first.
    last_step([x], _, { directions }) {
      const [steps, size] = x.shape;
      const out = tensor([size]), each = size / directions;
      if (!steps) return out;
      out.data.set(x.data.subarray((steps - 1) * size, (steps - 1) * size + each));
      if (directions === 2) out.data.set(x.data.subarray(each, size), each);
      return out;
    },

    // out = sum over t of weight[t] in[t], where weight = softmax over t of query . tanh(hidden in[t] + bias)
    attention_steps([x], { hidden, bias, query }) {
      const [steps, size] = x.shape;
      if (!steps) return tensor([size]);
      const seen = map(operations.linear([x], { weight: hidden, bias }), Math.tanh);
      const scores = operations.linear([seen], { weight: query });
      const shares = operations.softmax([tensor([steps], scores.data)]);
      return operations.linear([tensor([steps], shares.data)], { weight: operations.permute([x], {}, { order: [1, 0] }) });
    },

    add: (inputs, weights, { constant }) => elementwise(inputs, weights, constant, (a, b) => a + b),
    multiply: (inputs, weights, { constant }) => elementwise(inputs, weights, constant, (a, b) => a * b),

    concatenate(inputs, _, { dimension }) {
      const [outer, , inner] = around(inputs[0].shape, dimension);
      const along = inputs.reduce((sum, each) => sum + each.shape[dimension], 0);
      const shape = [...inputs[0].shape];
      shape[dimension] = along;
      const out = tensor(shape);
      let before = 0;
      for (const each of inputs) {
        const size = each.shape[dimension] * inner;
        for (let o = 0; o < outer; o++) out.data.set(each.data.subarray(o * size, (o + 1) * size), o * along * inner + before);
        before += size;
      }
      return out;
    },

    // Every `step`th of the values from `start` to before `stop`, along a dimension.
    slice([x], _, { dimension, start, stop, step }) {
      const [outer, along, inner] = around(x.shape, dimension);
      const end = stop === null ? along : Math.min(stop, along);
      const shape = [...x.shape];
      shape[dimension] = Math.max(0, Math.ceil((end - start) / step));
      const out = tensor(shape);
      for (let o = 0; o < outer; o++) {
        for (let a = 0; a < shape[dimension]; a++) {
          const from = (o * along + start + a * step) * inner;
          out.data.set(x.data.subarray(from, from + inner), (o * shape[dimension] + a) * inner);
        }
      }
      return out;
    },

    // Zeros before and after, along a dimension.
    pad([x], _, { dimension, before, after }) {
      const [outer, along, inner] = around(x.shape, dimension);
      const shape = [...x.shape];
      shape[dimension] = before + along + after;
      const out = tensor(shape);
      for (let o = 0; o < outer; o++) {
        out.data.set(x.data.subarray(o * along * inner, (o + 1) * along * inner), (o * shape[dimension] + before) * inner);
      }
      return out;
    },

    // Mean over dimensions, which then are gone.
    mean([x], _, { dimensions }) {
      let result = x;
      for (const dimension of [...dimensions].sort((a, b) => b - a)) {
        const [outer, along, inner] = around(result.shape, dimension);
        const out = tensor(result.shape.filter((_, d) => d !== dimension));
        for (let o = 0; o < outer; o++) {
          for (let i = 0; i < inner; i++) {
            let sum = 0;
            for (let a = 0; a < along; a++) sum += result.data[(o * along + a) * inner + i];
            out.data[o * inner + i] = sum / along;
          }
        }
        result = out;
      }
      return result;
    },

    reshape([x], _, { shape }) {
      const known = shape.reduce((product, size) => (size < 0 ? product : product * size), 1);
      return tensor(shape.map((size) => (size < 0 ? x.data.length / known : size)), x.data);
    },

    permute([x], _, { order }) {
      const out = tensor(order.map((dimension) => x.shape[dimension]));
      const strides = x.shape.map((_, d) => x.shape.slice(d + 1).reduce((all, size) => all * size, 1));
      const place = order.map(() => 0);
      for (let i = 0; i < out.data.length; i++) {
        out.data[i] = x.data[place.reduce((sum, at, d) => sum + at * strides[order[d]], 0)];
        for (let d = order.length - 1; d >= 0 && ++place[d] === out.shape[d]; d--) place[d] = 0;
      }
      return out;
    },

    // Each value becomes factor x factor equal ones.
    upsample_nearest([x], _, { factor }) {
      const [channels, height, width] = x.shape;
      const out = tensor([channels, height * factor, width * factor]);
      for (let i = 0; i < out.data.length; i++) {
        const column = i % (width * factor), row = Math.floor(i / (width * factor)) % (height * factor);
        const c = Math.floor(i / (width * factor * height * factor));
        out.data[i] = x.data[(c * height + Math.floor(row / factor)) * width + Math.floor(column / factor)];
      }
      return out;
    },
  };

  // Runs a cell along a sequence [steps, features], leftward from its end. `step` makes, for one unit, of what the input
  // and the state before give to each gate the gates and the next state. A second input is a sequence whose last state
  // it begins from. Beside the hidden states it returns `trace`: what each gate, the state, and the sums a and u are at
  // each step, [steps, units] each, and `last`, the state after the last step that was read.
  function recur([x, before], { weight_ih, weight_hh, bias_ih, bias_hh }, { leftward }, names, step, hasCell = false) {
    const steps = x.shape[0], gates = names.length, size = weight_hh.shape[1];
    const fromInput = operations.linear([x], { weight: weight_ih, bias: bias_ih });
    const fromState = tensor([steps, gates * size]);
    const states = hasCell ? ["hidden", "cell"] : ["hidden"];
    const trace = Object.fromEntries([...names, ...states].map((name) => [name, new Float32Array(steps * size)]));
    const now = Object.fromEntries(states.map((name) => [name, Float32Array.from(before ? before.last[name] : new Float32Array(size))]));
    const a = new Float64Array(gates), u = new Float64Array(gates), state = {}, gate = {};
    for (let number = 0; number < steps; number++) {
      const t = leftward ? steps - 1 - number : number;
      const row = operations.linear([tensor([size], now.hidden)], { weight: weight_hh, bias: bias_hh });
      fromState.data.set(row.data, t * gates * size);
      for (let unit = 0; unit < size; unit++) {
        for (let g = 0; g < gates; g++) {
          a[g] = fromInput.data[(t * gates + g) * size + unit];
          u[g] = row.data[g * size + unit];
        }
        for (const name of states) state[name] = now[name][unit];
        step(a, u, state, gate);
        for (const name of names) trace[name][t * size + unit] = gate[name];
        for (const name of states) trace[name][t * size + unit] = now[name][unit] = state[name];
      }
    }
    const out = tensor([steps, size], trace.hidden);
    return { ...out, trace, names, fromInput: fromInput.data, fromState: fromState.data, last: now };
  }

  // Writes what a tap sees of the input, from map `first` on, at each place of an output of width w; 0 in the padding.
  function lay(x, first, tap, [, inputs, kh, kw], { stride, padding, dilation }, w, values) {
    const [, height, width] = x.shape, map = Math.floor(tap / (kh * kw));
    values.fill(0);
    if (map >= inputs) return;
    const top = Math.floor((tap / kw) % kh) * dilation[0] - padding[0], left = (tap % kw) * dilation[1] - padding[1];
    const begin = Math.max(0, Math.ceil(-left / stride[1])), end = Math.min(w, Math.floor((width - 1 - left) / stride[1]) + 1);
    for (let start = 0, row = top; start < values.length; start += w, row += stride[0]) {
      if (row < 0 || row >= height) continue;
      const from = ((first + map) * height + row) * width + left;
      for (let column = begin; column < end; column++) values[start + column] = x.data[from + column * stride[1]];
    }
  }

  // Calls `take` with the values of each window that are inside of the maps, and the window's size.
  function pool(x, { kernel, stride, padding, ceil }, take) {
    const [channels, height, width] = x.shape;
    const h = outputSize(height, kernel[0], stride[0], padding[0], 1, ceil);
    const w = outputSize(width, kernel[1], stride[1], padding[1], 1, ceil);
    const out = tensor([channels, h, w]);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < h; y++) {
        const top = y * stride[0] - padding[0], bottom = Math.min(top + kernel[0], height + padding[0]);
        for (let z = 0; z < w; z++) {
          const left = z * stride[1] - padding[1], right = Math.min(left + kernel[1], width + padding[1]);
          const values = [];
          for (let row = Math.max(0, top); row < Math.min(bottom, height); row++) {
            for (let column = Math.max(0, left); column < Math.min(right, width); column++) {
              values.push(x.data[(c * height + row) * width + column]);
            }
          }
          out.data[(c * h + y) * w + z] = take(values, (bottom - top) * (right - left));
        }
      }
    }
    return out;
  }

  function moments(data, start, size, eps) {
    let mean = 0, variance = 0;
    for (let i = start; i < start + size; i++) mean += data[i] / size;
    for (let i = start; i < start + size; i++) variance += (data[i] - mean) ** 2 / size;
    return [mean, 1 / Math.sqrt(variance + eps)];
  }

  // Two tensors, a tensor and its weights, or a tensor and a number; sizes of 1 are repeated.
  function elementwise([a, second], { other }, constant, change) {
    if (constant !== undefined) return map(a, (value) => change(value, constant));
    let b = second || other;
    if (String(a.shape) === String(b.shape)) return tensor(a.shape, a.data.map((value, i) => change(value, b.data[i])));
    if (b.shape.length > a.shape.length) [a, b] = [b, a];
    const missing = a.shape.length - b.shape.length;
    const small = [...Array(missing).fill(1), ...b.shape];
    const shape = a.shape.map((size, d) => Math.max(size, small[d]));
    const out = tensor(shape);
    const place = shape.map(() => 0);
    const at = (sizes) => sizes.reduce((sum, size, d) => sum * size + (size === 1 ? 0 : place[d]), 0);
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = change(a.data[at(a.shape)], b.data[at(small)]);
      for (let d = shape.length - 1; d >= 0 && ++place[d] === shape[d]; d--) place[d] = 0;
    }
    return out;
  }

  // What each step gives; `from` is the first that is computed anew, others are taken from `known`.
  function run(program, input, known = [], from = 0) {
    const given = known.slice(0, from), several = Array.isArray(input) ? input : [input];
    for (let number = from; number < program.steps.length; number++) {
      const step = program.steps[number];
      const inputs = step.inputs.map((each) => (each < 0 ? several[-1 - each] : given[each]));
      given.push(operations[step.operation](inputs, step.weights, step.attributes));
    }
    return given;
  }

  // Numbers of 32 bits, little-endian, in base64; `as` may be another kind of array.
  function decodeNumbers(text, as = Float32Array) {
    if (Uint8Array.fromBase64) return new as(Uint8Array.fromBase64(text).buffer); // of newer browsers, ten times as fast
    const characters = atob(text), bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return new as(bytes.buffer);
  }

  // Integers of 12 bits, moved up by 2048: two in three bytes, the highest bits first.
  function unpack(bytes) {
    const whole = new Int16Array((bytes.length / 3) * 2);
    for (let i = 0, byte = 0; i < whole.length; byte += 3) {
      whole[i++] = ((bytes[byte] << 4) | (bytes[byte + 1] >> 4)) - 2048;
      whole[i++] = (((bytes[byte + 1] & 15) << 8) | bytes[byte + 2]) - 2048;
    }
    return whole;
  }

  // All weights of a program, one behind the other. Of 16 or 12 bits, those of a matrix or a kernel are an integer each,
  // times a factor of their row; vectors have 32 bits.
  function decodeWeights({ steps, bits, size, weights, integers }) {
    const floats = decodeNumbers(weights);
    if (bits === 32) return floats;
    const whole = bits === 16 ? decodeNumbers(integers, Int16Array) : unpack(decodeNumbers(integers, Uint8Array));
    const numbers = new Float32Array(size);
    let read = 0, float = 0, integer = 0; // how many were read
    for (const { shape, start } of steps.flatMap((step) => Object.values(step.weights))) {
      if (start < read) continue; // shared with a step before
      read = start + shape.reduce((product, each) => product * each, 1);
      const each = shape.length > 1 ? (read - start) / shape[0] : 0;
      for (let i = start; i < read; ) {
        const factor = floats[float++];
        if (!each) numbers[i++] = factor;
        for (const end = i + each; i < end; i++) numbers[i] = whole[integer++] * factor;
      }
    }
    return numbers;
  }

  // Turns a program as it stands in the page into one that runs: names of weights become tensors.
  function load(program) {
    const { steps } = program, numbers = decodeWeights(program);
    return {
      steps: steps.map((step) => ({
        ...step,
        weights: Object.fromEntries(
          Object.entries(step.weights).map(([name, { shape, start }]) => {
            const size = shape.reduce((product, each) => product * each, 1);
            return [name, tensor(shape, numbers.subarray(start, start + size))];
          })
        ),
      })),
    };
  }

  return { tensor, operations, activations, run, load, decodeWeights, decodeNumbers };
})();
if (typeof module !== "undefined") module.exports = engine;
