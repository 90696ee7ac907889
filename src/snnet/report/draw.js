"use strict";
// What the pages of this folder share: the data, small helpers, and a chart whose unit is one pixel of the page.
const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const M = { left: 54, right: 20, top: 14, bottom: 48 };
let W = 760, H = 420;

function svg(tag, attributes, parent, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function html(tag, text, parent, properties = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// Letters keep their size whatever the width: the chart is drawn again instead of being scaled. Call it before drawing.
function followWidth(draw) {
  const plot = $("chart").parentElement;
  const fit = () => {
    if (!plot.clientWidth || plot.clientWidth === W) return false;
    W = plot.clientWidth;
    H = Math.round(Math.min(560, Math.max(300, 0.55 * W)));
    $("chart").setAttribute("viewBox", `0 0 ${W} ${H}`);
    return true;
  };
  fit();
  new ResizeObserver(() => fit() && draw()).observe(plot);
}

const isNarrow = () => W < 560;

// The tip stays beside what it tells about and above what follows the chart.
function placeTip(x, y) {
  const tip = $("tip"), box = $("chart").getBoundingClientRect();
  const right = Math.min(box.right + 16, innerWidth - 4), lowest = Math.min(box.bottom, innerHeight - 8);
  tip.hidden = false;
  tip.style.left = "0px";
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(4, x + 16 + width > right ? Math.min(x - 16, right) - width : x + 16)}px`;
  // Where it does not fit beside a mark it stands over it.
  const beside = x + 16 + width <= right || x - 16 - width >= 4, above = y - 14 - height;
  tip.style.top = `${Math.max(4, beside || above < 4 ? Math.min(y + 14, lowest - height) : above)}px`;
}

// Arrow keys go from mark to mark; marks() are {at: [x, y]} in units of the chart, in their order.
function walkMarks(marks, current, look, pick) {
  const chart = $("chart");
  chart.onkeydown = (event) => {
    const all = marks(), n = all.indexOf(current()), last = all.length - 1;
    const to = { ArrowRight: n + 1, ArrowUp: n + 1, ArrowLeft: n < 0 ? last : n - 1, ArrowDown: n < 0 ? last : n - 1,
      Home: 0, End: last }[event.key];
    if (to !== undefined && all.length) {
      event.preventDefault();
      const mark = all[Math.min(last, Math.max(0, to))], box = chart.getBoundingClientRect();
      look(mark);
      placeTip(box.left + (mark.at[0] * box.width) / W, box.top + (mark.at[1] * box.height) / H);
    } else if (event.key === "Escape") {
      look(null);
    } else if (event.key === "Enter" && n >= 0) {
      pick(all[n]);
    }
  };
  chart.onblur = () => current() && look(null);
}
