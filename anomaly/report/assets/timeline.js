// ---- the score of a video over time --------------------------------------------------------------------
const stretchWords = {
  lost: "not decodable", outside: "out of domain", borrowed: "borrowed from the nearest measured moment",
  gated: "still scene, features reused",
};
const timeSteps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const plots = new Set();

// Hatching tells the kinds apart without colour; CSS draws the same on the legend.
function hatch(context, kind) {
  const tile = document.createElement("canvas"), size = 8;
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = pen.fillStyle = colour(kind === "lost" ? "warn" : "edge");
  pen.globalAlpha = 0.75;
  if (kind === "gated") pen.fillRect(3, 3, 2, 2);
  else if (kind === "borrowed") pen.fillRect(0, 3, size, 1);
  else {
    pen.beginPath();
    for (const shift of [-size, 0, size]) {
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
      if (kind === "lost") { pen.moveTo(shift, 0); pen.lineTo(shift + size, size); }
    }
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

// Draw `line` into `box`; `at(seconds)` hears of clicks. Returns what moves its head and zooms.
function drawTimeline(box, line, { height, current = null, span = null, at = null }) {
  const events = Object.entries(report.events).filter(([, e]) => e.video === line.video && e.camera === line.camera);
  const whole = [0, Math.max(line.duration, 0.1)];
  const top = 1.25 * Math.max(line.threshold * 1.15, ...line.high.filter((value) => value !== null));
  const head = make("div", { className: "head", hidden: true }), marks = new Map();
  const paper = make("div", { className: "plot-paper" }), readout = make("output", { className: "readout", hidden: true });
  paper.role = "group";
  paper.ariaLabel = `score of ${line.video} over time, at most ${Math.max(...line.high.filter((value) => value !== null)).toFixed(1)}, threshold ${line.threshold.toFixed(1)}`;
  box.append(paper);

  const shade = (u) => {
    const { ctx } = u, { left, top: y, width, height: tall } = u.bbox;
    const x = (seconds) => clamp(u.valToPos(seconds, "x", true), left, left + width);
    ctx.save();
    for (const [from, to, kind] of line.stretches) {
      ctx.fillStyle = hatch(ctx, kind);
      ctx.fillRect(x(from), y, Math.max(1, x(to) - x(from)), tall);
    }
    ctx.fillStyle = colour("accent");
    for (const [id, event] of events) {
      ctx.globalAlpha = id === current ? 0.3 : 0.16;
      ctx.fillRect(x(event.start), y, Math.max(2, x(event.stop) - x(event.start)), tall);
    }
    if (span) {
      ctx.globalAlpha = 1;
      ctx.fillStyle = colour("ink");
      ctx.fillRect(x(span[0]), y + tall - 3 * uPlot.pxRatio, x(span[1]) - x(span[0]), 3 * uPlot.pxRatio);
    }
    ctx.restore();
  };
  const limit = (u) => {
    const { ctx } = u, { left, width } = u.bbox, y = u.valToPos(line.threshold, "y", true);
    ctx.save();
    ctx.strokeStyle = colour("accent");
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.restore();
  };
  const place = (u) => {
    const { min, max } = u.scales.x, across = u.bbox.width / uPlot.pxRatio;
    for (const [id, mark] of marks) {
      const event = report.events[id], left = clamp(u.valToPos(event.start, "x"), 0, across);
      const right = clamp(u.valToPos(event.stop, "x"), 0, across);
      mark.hidden = event.stop < min || event.start > max;
      mark.style.left = `${Math.min(left, across - 10)}px`;
      mark.style.width = `${Math.max(10, right - left)}px`;
    }
    moveHead();
  };
  const read = (u) => {
    const k = u.cursor.idx;
    readout.hidden = k == null || u.cursor.left < 0;
    if (readout.hidden) return;
    const seconds = line.seconds[k], score = line.high[k] === null ? "no score" : `score ${line.high[k].toFixed(1)}`;
    const time = line.start === null ? "" : `${wallClock.format(1000 * (line.start + seconds))}, `;
    readout.textContent = `${clock(seconds, 1)}, ${time}${score}`;
  };
  const axis = (more) => ({
    stroke: () => colour("quiet"), font: "12px system-ui, sans-serif",
    grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, ...more,
  });
  const plot = new uPlot({
    width: Math.max(200, paper.clientWidth), height, padding: [4, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 4 } },
    scales: { x: { time: false, range: (u, from, to) => [from, to] }, y: { range: [0, top] } },
    axes: [
      axis({ values: (u, ticks) => ticks.map((tick) => clock(tick, ticks[1] - ticks[0] < 1 ? 1 : 0)), size: 24, space: 70, incrs: timeSteps }),
      axis({ size: 34, space: 30 }),
    ],
    series: [
      {},
      { stroke: () => colour("trace"), width: 1.5, points: { show: false }, spanGaps: false },
      { stroke: () => colour("trace"), width: 0.5, points: { show: false }, spanGaps: false },
    ],
    bands: [{ series: [1, 2], fill: () => colour("trace-soft") }],
    hooks: { drawClear: [shade], draw: [limit, place], setCursor: [read] },
  }, [line.seconds, line.high, line.low], paper);

  let headAt = null;
  function moveHead(seconds = headAt) {
    headAt = seconds;
    const { min, max } = plot.scales.x;
    head.hidden = seconds === null || !(seconds >= min && seconds <= max);
    if (!head.hidden) head.style.left = `${plot.valToPos(seconds, "x")}px`;
  }
  plot.over.append(head);
  paper.append(readout);
  for (const [id, event] of events) {
    const rank = cardOf(id).dataset.rank;
    const mark = make("button", { type: "button", className: "mark", textContent: rank, ariaLabel: `event ${rank} at ${clock(event.start)}` });
    mark.dataset.event = id;
    mark.classList.toggle("current", id === current);
    mark.addEventListener("click", () => show(id));
    marks.set(id, mark);
    plot.over.append(mark);
  }
  let pressed = 0;
  plot.over.addEventListener("mousedown", (press) => { pressed = press.clientX; });
  plot.over.addEventListener("click", (press) => {
    if (press.target !== plot.over || Math.abs(press.clientX - pressed) > 4 || !at) return;
    at(plot.posToVal(press.clientX - plot.over.getBoundingClientRect().left, "x"));
  });
  const kinds = [...new Set(line.stretches.map(([, , kind, reason]) => `${kind}|${reason}`))];
  if (kinds.length) {
    box.append(make("p", { className: "stretches quiet" }, ...kinds.map((both) => {
      const [kind, reason] = both.split("|");
      return make("span", {}, make("i", { className: `swatch ${kind}` }), stretchWords[kind] + (reason ? `: ${reason}` : ""));
    })));
  }
  const drawing = {
    plot, paper, moveHead, whole,
    zoom(from, to) {
      const length = clamp(to - from, 0.2, whole[1]), start = clamp(from, 0, whole[1] - length);
      plot.setScale("x", { min: start, max: start + length });
    },
    remove() { plots.delete(drawing); plot.destroy(); box.replaceChildren(); },
  };
  plots.add(drawing);
  plot.over.addEventListener("dblclick", () => drawing.zoom(...whole));
  drawing.zoom(...whole);
  return drawing;
}

document.addEventListener("recolour", () => { for (const { plot } of plots) plot.redraw(false); });
addEventListener("resize", () => {
  for (const { plot, paper } of plots) plot.setSize({ width: Math.max(200, paper.clientWidth), height: plot.height });
});

// Lines of all videos are drawn when they come into sight, or on paper.
const waiting = new Map();
const drawLine = (row) => {
  const line = waiting.get(row);
  if (!line) return;
  waiting.delete(row);
  drawTimeline(row.querySelector(".plot"), line, { height: 110 });
};
const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) { sight.unobserve(target); drawLine(target); }
}, { rootMargin: "300px" });
for (const line of byId("timelines") ? report.timelines : []) {
  const name = make("div", { className: "line-name" }, make("b", { textContent: line.video }), make("span", { textContent: line.camera }));
  const row = make("div", { className: "line" }, name, make("div", { className: "plot" }));
  row.dataset.camera = line.camera;
  row.dataset.video = line.video;
  byId("timelines").append(row);
  waiting.set(row, line);
  sight.observe(row);
}
addEventListener("beforeprint", () => { for (const row of [...waiting.keys()]) drawLine(row); });
