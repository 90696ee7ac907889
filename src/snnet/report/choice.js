// ---- budget and choice

const hasFrontier = () => D.views[state.cost].frontier.length > 0;

function placeSlider() {
  const { frontier, ends: [, high] } = D.views[state.cost], slider = $("budget");
  document.body.classList.toggle("unscored-only", !hasFrontier());
  if (!hasFrontier()) return;
  const low = value(D.rows[frontier[0]], state.cost);
  Object.assign(slider, { min: low, max: high, step: "any" });
  // The thumb's center stands under the chart's budget line.
  const share = (v) => (100 * scale.x(v)) / W;
  slider.style.left = `calc(${share(low)}% - 8px)`;
  slider.style.width = `calc(${share(high) - share(low)}% + 16px)`;
}

function setLimit(wanted, exact = false) {
  const slider = $("budget"), low = +slider.min, high = +slider.max;
  const step = niceStep(high - low || 1, 500), round = (v) => +(Math.round(v / step) * step).toPrecision(12);
  state.limit = exact ? wanted : Math.min(high, Math.max(low, round(wanted)));
  slider.value = state.limit;
  slider.dataset.limit = state.limit;
  slider.ariaValueText = $("limit").textContent = limitText();
  const half = (50 * $("limit").offsetWidth) / W;
  $("limit").style.left = `${Math.min(100 - half, Math.max(half, (100 * scale.x(state.limit)) / W))}%`;
  drawBudget();
}

function limitText() {
  const { label, scale: unitSize, unit } = column[state.cost];
  return `${label} ≤ ${+(state.limit / unitSize).toPrecision(4)} ${unit}`;
}

// The last step that the budget reaches; the steps come from snnet.select itself.
function chosen() {
  return D.rows[D.views[state.cost].choices.findLast(([cost]) => cost <= state.limit)[1]];
}

function drawBudget() {
  if (!hasFrontier()) return;
  const best = chosen(), x = scale.x(state.limit), bottom = H - M.bottom, width = Math.max(0, W - M.right - x);
  $("budget-back").replaceChildren(
    svg("rect", { class: "over", x, y: M.top, width, height: bottom - M.top }),
    svg("line", { class: "limit", x1: x, x2: x, y1: M.top, y2: bottom }),
  );
  $("budget-front").replaceChildren();
  ring(state.picked ?? best, "ring");
  showRow(state.picked ?? best);
  for (const line of $("frontier").children) {
    const box = $("scroll"), off = line.offsetTop - box.scrollTop, here = line.dataset.stitch === best.id;
    line.classList.toggle("chosen", here);
    line.ariaSelected = String(here);
    line.tabIndex = here ? 0 : -1;
    if (here && (off < 40 || off > box.clientHeight - 40)) box.scrollTop = line.offsetTop - box.clientHeight / 2;
  }
}

function ring(row, name) {
  const point = points.find((one) => one.row === row);
  if (!point || state.hidden.has(point.key)) return;
  svg("circle", { class: name, cx: point.at[0], cy: point.at[1], r: row.series < 0 ? 13 : 8.5 }, $("budget-front"));
}

function facts(list, row, names) {
  list.replaceChildren();
  row.route.forEach(([a, start, stop]) => {
    const which = stop - start > 1 ? `blocks ${start}–${stop - 1}` : `block ${start}`;
    html("dt", D.anchors[a].short, list);
    html("dd", `${which} (${stop - start} of ${D.anchors[a].blocks})`, list);
  });
  for (const name of names) {
    html("dt", column[name].label, list);
    html("dd", costText(row, name), list, doubtTitle(row, name));
  }
}

const measures = D.columns.map((c) => c.name).filter((name) => name !== D.score);

function why() {
  if (state.looking) return "Looked at";
  if (!state.picked) return `Best with ${limitText()}`;
  const best = chosen();
  return `Picked; with ${limitText()} the best is ${best.index} · ${best.id}`;
}

// As text for a shell and for Python: the budget, or the very stitch.
function commands(row) {
  if (state.looking || state.picked) {
    return [`net(images, "${row.id}")`, `snnet export ${D.source} --stitch "${row.id}" --output stitch.onnx`];
  }
  const [cost, batch] = state.cost.split("@"), flag = `--${cost.replaceAll("_", "-")}`;
  return [
    `net.select(${cost}=${state.limit}${batch ? `, batch=${batch}` : ""})`,
    `snnet select ${D.source} ${flag} ${state.limit}${batch ? ` --batch ${batch}` : ""}`,
  ];
}

function showRow(row) {
  $("choice").classList.toggle("looking", state.looking !== null);
  $("choice").dataset.stitch = row.id;
  $("choice-score-label").textContent = column[D.score].label.toLowerCase();
  $("choice-score").textContent = scoreText(row);
  $("choice-why").textContent = why();
  $("choice-stitch").textContent = `${row.index} · ${row.id}`;
  [$("choice-python").textContent, $("choice-shell").textContent] = commands(row);
  facts($("choice-facts"), row, measures);
  drawRoute(row);
}

// ---- the route through the anchors' blocks

function drawRoute(row) {
  const picture = $("route"), width = 330, pitch = 52, gap = 5, size = 20;
  const left = 20 + Math.min(80, 7 * Math.max(...D.anchors.map((a) => a.short.length)));
  const room = D.anchors.map((a) => (width - left - 12 - (a.depths.length - 1) * gap) / a.blocks);
  const cell = Math.min(26, ...room);
  const color = row.series < 0 ? "var(--accent)" : D.series[row.series].color;
  const hops = row.route.slice(1).map(([b, enter], n) => ({ a: row.route[n][0], leave: row.route[n][2] - 1, b, enter }));
  // Skips are arcs over the row of their anchor.
  const head = hops.some(({ a, b }) => a === b && a === 0) ? 16 : 2;
  const top = (a) => a * pitch + head, stageOf = (a, k) => {
    let stage = 0;
    for (let end = D.anchors[a].depths[0]; k >= end; end += D.anchors[a].depths[++stage]);
    return stage;
  };
  const x = (a, k) => left + k * cell + stageOf(a, k) * gap;
  picture.setAttribute("viewBox", `0 0 ${width} ${D.anchors.length * pitch - 30 + head}`);
  picture.replaceChildren();
  D.anchors.forEach((anchor, a) => {
    const first = row.route[0][0] === a, last = row.route.at(-1)[0] === a, end = x(a, anchor.blocks - 1) + cell;
    const name = anchor.short.length > 12 ? `${anchor.short.slice(0, 11)}…` : anchor.short;
    svg("text", { x: 0, y: top(a) + size / 2 + 4 }, picture, name);
    svg("circle", { class: first ? "end on" : "end", cx: left - 9, cy: top(a) + size / 2, r: 4 }, picture);
    svg("circle", { class: last ? "end on" : "end", cx: end + 7, cy: top(a) + size / 2, r: 4 }, picture);
    for (let k = 0; k < anchor.blocks; k++) {
      const runs = row.route.filter(([b, start, stop]) => a === b && start <= k && k < stop).length;
      const skipped = !runs && hops.some((hop) => hop.a === a && hop.b === a && hop.leave < k && k < hop.enter);
      const box = { x: x(a, k), y: top(a), width: cell - Math.min(3, cell / 5), height: size, rx: Math.min(3, cell / 6) };
      const kind = runs ? "cell run" : skipped ? "cell skipped" : "cell";
      const block = svg("rect", { class: kind, ...box, "data-block": `${a}:${k}`, "data-runs": runs }, picture);
      if (runs) block.style.fill = color;
      const middle = { x: box.x + box.width / 2, y: top(a) + size / 2 + 3.5 };
      if (cell > 15) svg("text", { class: runs ? "cell-text run-text" : "cell-text", ...middle }, picture, runs > 1 ? `${runs}×` : k);
    }
  });
  hops.forEach(({ a, leave, b, enter }, n) => {
    const skip = a === b, down = b > a || skip, tip = down ? top(b) - 3 : top(b) + size + 3;
    const x1 = x(a, leave) + cell / 2 - 1.5, x2 = x(b, enter) + cell / 2 - 1.5, y1 = top(a) + (down && !skip ? size : 0);
    const bend = (tip - y1) / 2, [c1, c2] = skip ? [top(a) - 16, top(a) - 16] : [y1 + bend, tip - bend];
    svg("path", { class: skip ? "hop skip" : "hop", d: `M${x1},${y1}C${x1},${c1} ${x2},${c2} ${x2},${tip}` }, picture);
    svg("path", { class: "hop-head", d: `M${x2 - 4.5},${tip - (down ? 5 : -5)}h9L${x2},${tip + (down ? 3 : -3)}Z` }, picture);
    // Where a route comes back, the order does not show by itself.
    const middle = { x: (x1 + x2) / 2 + (skip ? 0 : 8), y: skip ? top(a) - 3 : (y1 + tip) / 2 + 3 };
    if (hops.length > 1) svg("text", { class: "hop-number", ...middle }, picture, n + 1);
  });
}

// ---- pointer, keys, table, start

const visible = () => points.filter((point) => !state.hidden.has(point.key));

function lookAt(event) {
  const box = $("chart").getBoundingClientRect(), unit = W / box.width;
  const px = (event.clientX - box.left) * unit, py = (event.clientY - box.top) * unit;
  const distance = ({ at: [x, y] }) => Math.hypot(x - px, y - py);
  const near = visible().filter((point) => distance(point) < 16);
  const found = near.length ? near.reduce((a, b) => (distance(b) < distance(a) ? b : a)).row : null;
  if (found !== state.looking) look(found);
  if (found) placeTip(event.clientX, event.clientY);
}

function look(row) {
  state.looking = row;
  $("tip").hidden = !row;
  $("chart").querySelector(".halo")?.remove();
  if (!row) return drawBudget();
  const tip = $("tip");
  tip.replaceChildren();
  html("b", `${column[D.score].label}: ${scoreText(row)}`, tip);
  html("code", `stitch ${row.index} · ${row.id}`, tip);
  // On a phone the tip would cover the chart; what it leaves out stands below.
  if (isNarrow()) html("div", `${column[state.cost].label}: ${costText(row, state.cost)}`, tip);
  else facts(html("dl", "", tip), row, measures);
  ring(row, "halo");
  return showRow(row);
}

// The budget goes where the stitch is; where another is better for as little, the panel still shows what was picked.
function pick(row) {
  look(null);
  state.picked = null;
  if (!hasFrontier()) return;
  const at = value(row, state.cost);
  setLimit(Math.max(at, +$("budget").min), true);
  if (chosen() === row) return;
  state.picked = row;
  drawBudget();
}

function choose(line, row) {
  state.picked = null;
  setLimit(value(row, state.cost), true);
  line.focus();
}

function moveInTable(event) {
  const line = event.currentTarget, { previousElementSibling: before, nextElementSibling: after } = line;
  const to = { ArrowUp: before, ArrowDown: after, Home: line.parentElement.firstElementChild,
    End: line.parentElement.lastElementChild, Enter: line, " ": line }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  to?.click();
}

function drawTable() {
  const { frontier } = D.views[state.cost];
  const costs = D.columns.filter((c) => D.costs.includes(c.name)).sort((a, b) => (b.name === state.cost) - (a.name === state.cost));
  $("frontier-note").textContent = `${frontier.length} of ${D.rows.length} stitches; a click or the arrow keys set the budget`;
  $("frontier-head").replaceChildren();
  for (const title of ["#", "Stitch", column[D.score].label, ...costs.map((c) => c.label), "Blocks"]) {
    html("th", title, $("frontier-head"), { scope: "col" });
  }
  $("frontier").replaceChildren(...frontier.map((n) => {
    const row = D.rows[n], line = document.createElement("tr");
    html("td", row.index, line);
    html("code", row.id, html("td", "", line));
    html("td", scoreText(row), line, { className: "score-cell" });
    for (const { name } of costs) html("td", costText(row, name), line, doubtTitle(row, name));
    html("td", row.route.map(([a, start, stop]) => `${stop - start} ${D.anchors[a].short}`).join(" → "), line);
    line.dataset.stitch = row.id;
    line.onclick = () => choose(line, row);
    line.onkeydown = (event) => moveInTable(event);
    return line;
  }));
}

$("budget").oninput = (event) => {
  state.picked = null;
  setLimit(+event.target.value);
};
$("chart").onpointermove = lookAt;
$("chart").onpointerdown = lookAt;
$("chart").onpointerleave = () => state.looking && look(null);
$("chart").onclick = () => state.looking && pick(state.looking);
walkMarks(
  () => visible().sort((a, b) => a.at[0] - b.at[0] || b.at[1] - a.at[1]),
  () => points.find((point) => point.row === state.looking),
  (point) => look(point ? point.row : null),
  (point) => pick(point.row),
);
followWidth(() => {
  drawChart();
  placeSlider();
  if (hasFrontier()) setLimit(state.limit, true);
});
drawLegend();
drawCosts();
setCost(state.cost);
