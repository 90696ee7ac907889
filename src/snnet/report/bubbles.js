const all = D.groups.flatMap((group) => group.models);
const NAME = 0, MACS = 1, PARAMS = 2, TOP1 = 3, NOTE = 4;

function reach(column, pad) {
  const values = all.map((model) => model[column]), low = Math.min(...values), high = Math.max(...values);
  return pad(low, high);
}

const [x0, x1] = reach(MACS, (low, high) => [Math.log10(low / 1.3), Math.log10(high * 1.3)]);
const [y0, y1] = reach(TOP1, (low, high) => [low - 0.06 * (high - low || 1), high + 0.06 * (high - low || 1)]);
const x = (macs) => M.left + ((Math.log10(macs) - x0) / (x1 - x0)) * (W - M.left - M.right);
const y = (top1) => H - M.bottom - ((top1 - y0) / (y1 - y0)) * (H - M.top - M.bottom);
// Area in proportion to parameters: 100 M are a dot of radius 6.
const radius = (params) => Math.max(2, 0.6 * Math.sqrt(params / 1e6));

function count(value) {
  const [scale, unit] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([least]) => value >= least) || [1, ""];
  return `${+(value / scale).toPrecision(3)} ${unit}`;
}

function drawAxes(chart) {
  const bottom = H - M.bottom, step = [1, 2, 5, 10, 20].find((size) => (y1 - y0) / size <= 9);
  for (let t = Math.ceil(y0 / step) * step; t <= y1; t += step) {
    svg("line", { class: "grid", x1: M.left, x2: W - M.right, y1: y(t), y2: y(t) }, chart);
    svg("text", { x: M.left - 8, y: y(t) + 4, "text-anchor": "end" }, chart, t);
  }
  svg("line", { class: "axis", x1: M.left, x2: W - M.right, y1: bottom, y2: bottom }, chart);
  for (let power = Math.floor(x0); power <= x1; power++) {
    for (const factor of [1, 3]) {
      const macs = factor * 10 ** power;
      if (Math.log10(macs) < x0 || Math.log10(macs) > x1) continue;
      svg("line", { class: "axis", x1: x(macs), x2: x(macs), y1: bottom, y2: bottom + 5 }, chart);
      svg("text", { x: x(macs), y: bottom + 19, "text-anchor": "middle" }, chart, count(macs));
    }
  }
  svg("text", { class: "axis-title", x: (W + M.left - M.right) / 2, y: H - 8, "text-anchor": "middle" }, chart, "MACs");
}

let marks = [], looking = null;

function drawGroup(chart, group, number) {
  const layer = svg("g", { "data-key": `group-${number}` }, chart);
  // The largest first, so that no dot lies wholly under another.
  for (const model of [...group.models].sort((a, b) => b[PARAMS] - a[PARAMS])) {
    const mark = svg("circle", {
      class: group.main ? "bubble main" : "bubble", "data-model": model[NAME], fill: group.color,
      cx: x(model[MACS]).toFixed(1), cy: y(model[TOP1]).toFixed(1), r: radius(model[PARAMS]).toFixed(2),
    }, layer);
    const one = { group, model, mark, layer, at: [x(model[MACS]), y(model[TOP1])] };
    mark.addEventListener("pointerenter", (event) => {
      look(one);
      placeTip(event.clientX, event.clientY);
    });
    mark.addEventListener("pointerleave", () => look(null));
    marks.push(one);
  }
}

function look(one) {
  looking?.mark.classList.remove("looked-at");
  looking = one;
  $("tip").hidden = !one;
  if (!one) return;
  const { group, model, mark } = one, tip = $("tip");
  mark.classList.add("looked-at");
  tip.replaceChildren();
  html("b", model[NAME], tip);
  html("span", group.label, tip);
  const facts = html("dl", "", tip);
  const pairs = [["Top-1", `${model[TOP1].toFixed(2)}%`], ["MACs", count(model[MACS])], ["Parameters", count(model[PARAMS])]];
  if (model[NOTE]) pairs.push(["Images", model[NOTE]]);
  for (const [name, value] of pairs) {
    html("dt", name, facts);
    html("dd", value, facts);
  }
}

const layerOf = (key) => $("chart").querySelector(`[data-key="${key}"]`);

function drawLegend() {
  D.groups.forEach((group, number) => {
    const button = html("button", "", $("legend"), { type: "button", ariaPressed: "true" });
    button.dataset.toggles = `group-${number}`;
    const icon = svg("svg", { viewBox: "0 0 16 14", "aria-hidden": "true" }, button);
    svg("circle", { cx: 8, cy: 7, r: 5, fill: group.color }, icon);
    html("span", `${group.label} (${group.models.length})`, button);
    button.onclick = () => {
      const shown = button.ariaPressed !== "true";
      button.ariaPressed = String(shown);
      layerOf(button.dataset.toggles).style.display = shown ? "" : "none";
    };
  });
}

function drawChart() {
  const hidden = [...$("legend").children].filter((button) => button.ariaPressed === "false");
  look(null);
  marks = [];
  $("chart").replaceChildren();
  drawAxes($("chart"));
  D.groups.forEach((group, number) => drawGroup($("chart"), group, number));
  for (const { dataset } of hidden) layerOf(dataset.toggles).style.display = "none";
}

followWidth(drawChart);
drawLegend();
drawChart();
walkMarks(
  () => marks.filter(({ layer }) => layer.style.display !== "none").sort((a, b) => a.at[0] - b.at[0] || b.at[1] - a.at[1]),
  () => looking,
  look,
  () => {},
);
