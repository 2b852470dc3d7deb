const map = find("map"), solid = points.places.length === 3, [xs, ys, zs] = points.places;
let current = null, pinned = false;
const said = (words) => words[language];
const marked = (row) => points.mark !== null && points.mark.rows[row] === 1;
const escaped = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;"); // plotly reads some HTML

// --- what is drawn ------------------------------------------------------------------------------

const way = () => points.ways[find("color").selectedIndex];
const first = points.ways[0], canChoose = "names" in first && new Set(first.groups).size > 1;

function passes(row) {
  const which = find("which").value, group = find("group").value;
  if (which && (which === "marked") !== marked(row)) return false;
  return !canChoose || group === "" || first.groups[row] === Number(group);
}

function trace(name, rows, own, marker, other) {
  // A trace without points would have no place in the legend.
  const along = (values) => (rows.length ? rows.map((row) => values[row]) : [null]);
  const places = { x: along(xs), y: along(ys), ...(solid ? { z: along(zs) } : {}) };
  const line = { color: "#1f2328", width: points.size < 5 ? 0.5 : 1 };
  const shape = own ? { symbol: solid ? "diamond" : "x", line, opacity: 1 } : { opacity: 0.75 };
  return {
    type: solid ? "scatter3d" : points.webgl ? "scattergl" : "scatter",
    mode: "markers", ...places, customdata: rows, name,
    marker: { size: own ? Math.max(6, 1.25 * points.size) : points.size, ...shape, ...marker }, ...other,
  };
}

// The points of a group, and after those of all groups the marked ones, which so lie on top.
function traces() {
  const rows = xs.map((_, row) => row).filter(passes), now = way(), found = [];
  for (const own of [false, true]) {
    const mine = rows.filter((row) => marked(row) === own);
    if (!("names" in now)) {
      const values = mine.map((row) => now.values[row]);
      const hover = { hovertemplate: "%{marker.color:.3g}<extra></extra>", showlegend: false };
      if (mine.length) found.push(trace(said(now.label), mine, own, { color: values, coloraxis: "coloraxis" }, hover));
      continue;
    }
    now.names.forEach((name, group) => {
      const members = mine.filter((row) => now.groups[row] === group);
      // Each group has its place in the legend, also when none of it is shown: so nothing moves.
      if (!members.length && (own || !now.groups.includes(group))) return;
      const shown = escaped(name), hover = own ? `${shown} (${escaped(said(points.mark.label))})` : shown;
      const other = {
        legendgroup: String(group), uid: `${find("color").selectedIndex}-${group}-${own}`, showlegend: !own,
        hovertemplate: `${hover}<extra></extra>`,
      };
      found.push(trace(shown, members, own, { color: now.colors[group] }, other));
    });
  }
  if (points.mark !== null && "names" in now) found.push(key());
  return found;
}

// What the shape means, in the legend.
function key() {
  const other = { legendgroup: "mark", showlegend: true, hoverinfo: "skip" };
  return trace(escaped(said(points.mark.label)), [], true, { color: "#ffffff" }, other);
}

function ring() {
  if (current === null || !passes(current)) return solid ? { scene: { annotations: [] } } : { shapes: [] };
  if (solid) {
    const circle = { text: "◯", showarrow: false, font: { size: 22, color: "#000000" } };
    return { scene: { annotations: [{ x: xs[current], y: ys[current], z: zs[current], ...circle }] } };
  }
  const radius = points.size + 4, line = { color: "#000000", width: 2 };
  const box = { xsizemode: "pixel", ysizemode: "pixel", x0: -radius, x1: radius, y0: -radius, y1: radius };
  return { shapes: [{ type: "circle", xanchor: xs[current], yanchor: ys[current], ...box, line }] };
}

// That of all points, so that they stay where they are when some are hidden.
function range(values) {
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const margin = 0.04 * (high - low) || 1;
  return [low - margin, high + margin];
}

// What stands above the bar of a number's colors; the last line keeps its highest mark free.
function lines(now) {
  const clipped = now.clipped ? [say("clipped", { share: now.clipped })] : [];
  return [...escaped(said(now.label)).split(/ (?=\()/), ...clipped, "\u00a0"];
}

function layout() {
  const bare = { showgrid: false, zeroline: false, showticklabels: false, title: { text: "" }, ticks: "" };
  const walls = { ...bare, showbackground: true, backgroundcolor: "#f6f8fa", showspikes: false };
  const axes = solid
    ? { scene: { xaxis: walls, yaxis: walls, zaxis: walls, aspectmode: "data", ...ring().scene } }
    : { xaxis: { ...bare, range: range(xs) }, yaxis: { ...bare, range: range(ys), scaleanchor: "x" }, ...ring() };
  const now = way(), kept = "names" in now ? {} : {
    coloraxis: {
      colorscale: "Viridis", cmin: now.lowest, cmax: now.highest,
      colorbar: { title: { text: lines(now).join("<br>") } },
    },
  };
  // On a small screen the legend would leave no room beside it.
  const below = map.clientWidth < 560 ? { orientation: "h", y: 0, yanchor: "top" } : { y: 0.95 };
  return {
    font: { family: points.family }, hoverlabel: { font: { family: points.family } },
    margin: { l: 8, r: 8, t: 8, b: 8 }, showlegend: "names" in now,
    legend: { itemsizing: "constant", ...below, title: { text: escaped(said(now.label)) } },
    dragmode: solid ? "orbit" : "pan", hovermode: "closest", uirevision: "kept", ...axes, ...kept,
  };
}

async function draw() {
  await Plotly.react(map, traces(), layout(), settings);
  find("count").textContent = say("count", { shown: seen().length.toLocaleString("en"), all: xs.length.toLocaleString("en") });
}

// --- what is known of a point -------------------------------------------------------------------

const sheets = points.pictures.map(({ source }) => Object.assign(new Image(), { src: source }));
const canvases = points.pictures.map(() => make("canvas", { width: 288, height: 288, role: "img" }));

async function paint(number, row) {
  const { side, columns } = points.pictures[number], canvas = canvases[number], context = canvas.getContext("2d");
  await sheets[number].decode();
  if (row !== current) return; // another one came meanwhile
  context.imageSmoothingEnabled = side > 64;
  context.drawImage(sheets[number], row % columns * side, Math.floor(row / columns) * side, side, side, 0, 0, canvas.width, canvas.height);
}

function describe() {
  const row = current, known = row !== null;
  find("pictures").hidden = !known || !points.pictures.length;
  find("text").hidden = !known || !points.texts.length;
  find("pinned").hidden = !pinned;
  find("facts").replaceChildren();
  if (!known) return;
  find("facts").append(...points.facts.flatMap(({ label, values }) => [make("dt", {}, said(label)), make("dd", {}, values[row])]));
  if (points.texts.length) find("text").textContent = points.texts[row];
  points.pictures.forEach(({ label }, number) => {
    canvases[number].setAttribute("aria-label", said(label));
    paint(number, row);
  });
}

function show(row) {
  if (row === current) return;
  current = row;
  describe();
  Plotly.relayout(map, solid ? { "scene.annotations": ring().scene.annotations } : ring());
}

function pin(on) {
  pinned = on && current !== null;
  find("pinned").hidden = !pinned;
}

// --- ways to go there ---------------------------------------------------------------------------

// The points that are drawn: none of a group that the legend hides.
const seen = () => map.data.filter((each) => each.visible !== "legendonly").flatMap((each) => each.customdata).sort((a, b) => a - b);

function step(by) {
  const rows = seen();
  if (!rows.length) return;
  const after = rows.findIndex((row) => row >= current), there = current !== null && rows[after] === current;
  const from = current === null ? (by > 0 ? -1 : 0) : after < 0 ? rows.length : there || by < 0 ? after : after - 1;
  pin(false);
  show(rows[(from + by + rows.length) % rows.length]);
}

// The nearest point on that side: what lies off the direction counts twice.
function walk(x, y) {
  if (current === null || solid) return step(x + y > 0 ? 1 : -1);
  let best = null, least = Infinity;
  for (const row of seen()) {
    const right = xs[row] - xs[current], up = ys[row] - ys[current];
    const along = right * x + up * y, off = Math.abs(right * y) + Math.abs(up * x);
    if (along > 0 && off <= along && along + 2 * off < least) [best, least] = [row, along + 2 * off];
  }
  pin(false);
  if (best !== null) show(best);
}

const keys = {
  ArrowLeft: () => walk(-1, 0), ArrowRight: () => walk(1, 0), ArrowUp: () => walk(0, 1), ArrowDown: () => walk(0, -1),
  Enter: () => pin(!pinned), Escape: () => pin(false),
};
map.addEventListener("keydown", (event) => {
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
});
for (const id of ["color", "group", "which"]) find(id).addEventListener("change", draw);
find("previous").addEventListener("click", () => step(-1));
find("next").addEventListener("click", () => step(1));

// --- words --------------------------------------------------------------------------------------

function options(id, entries) {
  const chosen = Math.max(0, find(id).selectedIndex);
  find(id).replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
  find(id).selectedIndex = chosen;
}

function nameChoices() {
  find("about").textContent = said(points.about);
  options("color", points.ways.map(({ label }, number) => [number, said(label)]));
  find("of-group").hidden = !canChoose;
  if (canChoose) {
    find("group-label").textContent = said(first.label);
    const there = [...new Set(first.groups)].sort((a, b) => a - b);
    options("group", [["", say("all")], ...there.map((group) => [group, first.names[group]])]);
  }
  find("of-mark").hidden = points.mark === null;
  const all = xs.length, wrong = points.mark === null ? 0 : points.mark.rows.reduce((a, b) => a + b);
  const marks = points.mark === null ? [] : [
    ["marked", `${solid ? "◆" : "✕"} ${said(points.mark.label)} (${wrong})`],
    ["other", `● ${said(points.mark.other)} (${all - wrong})`],
  ];
  options("which", [["", say("all")], ...marks]);
  canvases.forEach((canvas, number) => { canvas.nextSibling.textContent = said(points.pictures[number].label); });
  describe();
}

async function start() {
  find("pictures").append(...canvases.map((canvas) => make("figure", {}, canvas, make("figcaption"))));
  find("pictures").classList.toggle("one", canvases.length === 1);
  changed.push(nameChoices);
  translate();
  // plotly measures its texts: their font must be there.
  await document.fonts.load('1rem "Map Korean"', "names" in first ? first.names.join("") : "");
  await draw();
  changed.push(draw);
  new ResizeObserver(() => Plotly.Plots.resize(map)).observe(map); // the lines above it may become more
  map.on("plotly_hover", (event) => { if (!pinned) show(event.points[0].customdata); });
  map.on("plotly_legendclick", ({ data, curveNumber }) => {
    if (data[curveNumber].legendgroup !== "mark") return true;
    find("which").value = find("which").value === "other" ? "" : "other";
    draw();
    return false;
  });
  map.on("plotly_click", (event) => {
    const row = event.points[0].customdata, again = pinned && row === current;
    show(row);
    pin(!again);
  });
}
start();
