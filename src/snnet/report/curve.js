// ---- what is shown

// picked: by a click in the chart; looking: under the pointer, or reached by the arrow keys.
const state = { cost: D.cost, limit: 0, hidden: new Set(), looking: null, picked: null };
const column = Object.fromEntries(D.columns.map((c) => [c.name, c]));

// As view.Axis.text writes it.
function format(name, number) {
  const { scale, unit, missing } = column[name];
  if (number === undefined) return missing;
  const shown = number / scale;
  if (unit === "%") return shown.toFixed(2) + unit;
  const digits = shown > 0 ? Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(shown)))) : 2;
  return `${shown.toFixed(digits)} ${unit}`.trim();
}

function niceStep(span, count) {
  const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function ticks(low, high, count) {
  const step = niceStep(high - low, count), found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) found.push(+(n * step).toPrecision(12));
  return found;
}

const value = (row, name) => row.values[name];
const scored = (row) => value(row, D.score) !== undefined && value(row, state.cost) !== undefined;
// Predicted scores bear their standard error.
const scoreText = (row) => format(D.score, value(row, D.score))
  + (row.error === undefined ? "" : ` ± ${(row.error / column[D.score].scale).toFixed(2)}, predicted`);
// An unreliable time bears a question mark, and says why.
const doubt = (row, name) => D.doubts[name][row.id];
const costText = (row, name) => format(name, value(row, name)) + (doubt(row, name) ? " ?" : "");
const doubtTitle = (row, name) => (doubt(row, name) ? { title: `${D.unreliable}: ${doubt(row, name)}` } : {});
const starPath = "M0,-11L2.7,-3.7 10.5,-3.4 4.4,1.4 6.5,8.9 0,4.6 -6.5,8.9 -4.4,1.4 -10.5,-3.4 -2.7,-3.7Z";

// ---- the curve

function scales() {
  const { ends, range } = D.views[state.cost];
  const pad = 0.045 * (ends[1] - ends[0] || ends[1] || 1);
  const x0 = ends[0] - pad, x1 = ends[1] + pad, [y0, y1] = range;
  return {
    x: (v) => M.left + ((v - x0) / (x1 - x0)) * (W - M.left - M.right),
    y: (v) => H - M.bottom - ((v - y0) / (y1 - y0)) * (H - M.top - M.bottom),
    x0, x1, y0, y1,
  };
}

function drawAxes(chart, s) {
  const { scale, title } = column[state.cost], bottom = H - M.bottom;
  for (const t of D.views[state.cost].frontier.length ? ticks(s.y0, s.y1, 7) : []) {
    svg("line", { class: "grid", x1: M.left, x2: W - M.right, y1: s.y(t), y2: s.y(t) }, chart);
    svg("text", { x: M.left - 8, y: s.y(t) + 4, "text-anchor": "end" }, chart, t);
  }
  for (const t of ticks(s.x0 / scale, s.x1 / scale, Math.max(3, Math.round(W / 80)))) {
    svg("line", { class: "axis", x1: s.x(t * scale), x2: s.x(t * scale), y1: bottom, y2: bottom + 5 }, chart);
    svg("text", { x: s.x(t * scale), y: bottom + 19, "text-anchor": "middle" }, chart, t);
  }
  svg("line", { class: "axis", x1: M.left, x2: W - M.right, y1: bottom, y2: bottom }, chart);
  const middle = { x: (W + M.left - M.right) / 2, "text-anchor": "middle" };
  svg("text", { class: "axis-title", ...middle, y: H - 8 }, chart, title);
  if (D.views[state.cost].frontier.length) return;
  svg("text", { ...middle, y: H / 2 }, chart, "No stitch has been evaluated yet; `snnet evaluate` scores them.");
}

function drawSteps(layer, points, s, kind = "step") {
  if (!points.length) return;
  const path = points.map(([x, y], n) => (n ? `H${s.x(x)}V${s.y(y)}` : `M${s.x(x)},${s.y(y)}`)).join("");
  svg("path", { class: kind, d: `${path}H${s.x(D.views[state.cost].ends[1])}` }, layer);
}

function drawRow(layer, row, s) {
  const x = s.x(value(row, state.cost)), base = { class: "mark", "data-stitch": row.id };
  if (!scored(row)) {
    svg("line", { ...base, class: "mark unscored", x1: x, x2: x, y1: H - M.bottom - 9, y2: H - M.bottom }, layer);
    return [x, H - M.bottom - 5];
  }
  const y = s.y(value(row, D.score));
  if (row.series >= 0) {
    svg("circle", { ...base, class: "mark dot", cx: x, cy: y, r: D.rows.length > 200 ? 2.8 : 4.6, fill: D.series[row.series].color }, layer);
    return [x, y];
  }
  const right = x > M.left + 0.75 * (W - M.left), name = D.anchors[row.route[0][0]].name;
  svg("path", { ...base, class: "mark star", d: starPath, transform: `translate(${x} ${y})` }, layer);
  const at = right ? { x: x + 6, y: y - 14, "text-anchor": "end" } : { x: x + 9, y: y + 20 };
  svg("text", { class: "label", ...at }, layer, name);
  return [x, y];
}

function drawErrors(layer, s) {
  for (const row of D.rows.filter((one) => one.error !== undefined && scored(one))) {
    const x = s.x(value(row, state.cost)), [y1, y2] = [-1, 1].map((side) => s.y(value(row, D.score) + side * row.error));
    svg("line", { class: "error", x1: x, x2: x, y1, y2 }, layer);
  }
}

function drawDoubts(layer, s) {
  for (const row of D.rows.filter((one) => doubt(one, state.cost) && scored(one))) {
    svg("circle", { class: "doubt", cx: s.x(value(row, state.cost)), cy: s.y(value(row, D.score)), r: row.series < 0 ? 11 : 7.5 }, layer);
  }
}

const keyOf = (row) => (!scored(row) ? "unscored" : row.series < 0 ? "anchors" : `series-${row.series}`);
let points = [], scale = null;

function drawChart() {
  const chart = $("chart");
  scale = scales();
  chart.replaceChildren();
  drawAxes(chart, scale);
  svg("clipPath", { id: "area" }, chart).append(svg("rect", { x: 0, y: 0, width: W, height: H - M.bottom }));
  const layer = (key, clip) => svg("g", { "data-key": key, ...(clip && { "clip-path": "url(#area)" }) }, chart);
  svg("g", { id: "budget-back" }, chart);
  const earlier = layer("before", true), layers = {};
  for (const [x, y] of D.views[state.cost].before) {
    svg("circle", { class: "mark before", cx: scale.x(x), cy: scale.y(y), r: 3.4 }, earlier);
  }
  drawErrors(layer("errors", true), scale);
  drawSteps(layer("alone"), D.views[state.cost].alone, scale, "step alone");
  const best = D.views[state.cost].frontier.map((n) => D.rows[n]);
  drawSteps(layer("frontier"), best.map((row) => [value(row, state.cost), value(row, D.score)]), scale);
  for (const key of ["unscored", ...D.series.map((_, n) => `series-${n}`), "anchors"]) layers[key] = layer(key);
  points = D.rows.filter((row) => value(row, state.cost) !== undefined)
    .map((row) => ({ row, key: keyOf(row), at: drawRow(layers[keyOf(row)], row, scale) }));
  drawDoubts(layer("doubts"), scale);
  svg("g", { id: "budget-front" }, chart);
  for (const key of state.hidden) setShown(key, false);
}

// ---- legend and cost switch

function setShown(key, shown) {
  const layer = $("chart").querySelector(`[data-key="${key}"]`);
  if (layer) layer.style.display = shown ? "" : "none";
}

function legendEntries() {
  const unscored = D.rows.filter((row) => value(row, D.score) === undefined).length;
  const ticked = { key: "unscored", label: `not evaluated (${unscored})`,
    draw: (g) => svg("path", { class: "unscored", d: "M8,2V12" }, g) };
  if (unscored === D.rows.length) return [ticked];
  return [
    { key: "anchors", label: "anchors", draw: (g) => svg("path", { class: "star", d: starPath, transform: "translate(8 7.5) scale(0.7)" }, g) },
    ...D.series.map(({ label, color }, n) => (
      { key: `series-${n}`, label, draw: (g) => svg("circle", { cx: 8, cy: 7, r: 5, fill: color }, g) })),
    { key: "frontier", label: "frontier", draw: (g) => svg("path", { class: "step", d: "M0,11H8V4H16" }, g) },
    ...(D.views[state.cost].alone.length ? [{ key: "alone", label: D.alone,
      draw: (g) => svg("path", { class: "step alone", d: "M0,11H8V4H16" }, g) }] : []),
    ...(D.before ? [{ key: "before", label: D.before,
      draw: (g) => svg("circle", { class: "before", cx: 8, cy: 7, r: 4 }, g) }] : []),
    ...(D.rows.some((row) => row.error !== undefined) ? [{ key: "errors", label: "error of a prediction",
      draw: (g) => svg("path", { class: "error", d: "M8,1V13" }, g) }] : []),
    ...(D.costs.some((name) => Object.keys(D.doubts[name]).length) ? [{ key: "doubts", label: `${D.unreliable} (?)`,
      draw: (g) => svg("circle", { class: "doubt", cx: 8, cy: 7, r: 6 }, g) }] : []),
    ...(unscored ? [ticked] : []),
  ];
}

function drawLegend() {
  for (const { key, label, draw } of legendEntries()) {
    const button = html("button", "", $("legend"), { type: "button", ariaPressed: "true" });
    button.dataset.toggles = key;
    draw(svg("svg", { viewBox: "0 0 16 14", "aria-hidden": "true" }, button));
    html("span", label, button);
    button.onclick = () => {
      const shown = state.hidden.has(key);
      state.hidden[shown ? "delete" : "add"](key);
      button.ariaPressed = String(shown);
      setShown(key, shown);
      drawBudget();
    };
  }
}

function drawCosts() {
  for (const name of D.costs) {
    const button = html("button", column[name].label, $("costs"), { type: "button" });
    button.dataset.cost = name;
    button.onclick = () => setCost(name);
  }
  $("costs").hidden = D.costs.length < 2;
}

function setCost(name) {
  state.cost = name;
  if (state.picked && value(state.picked, name) === undefined) state.picked = null;
  for (const button of $("costs").children) button.ariaPressed = String(button.dataset.cost === name);
  $("curve-title").textContent = `${column[D.score].label} over ${column[name].label}`;
  drawChart();
  drawTable();
  placeSlider();
  if (hasFrontier()) setLimit(Math.sqrt(+$("budget").min * +$("budget").max));
}
