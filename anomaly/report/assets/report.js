
"use strict";
// Own, small and without dependencies. Text from the data is only ever set as textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".card")];
  const viewer = byId("viewer"), clip = byId("clip"), still = byId("still"), absent = byId("absent");
  let current = null, clipUrl = null, moveHead = () => {};

  const clock = (seconds) => {
    const s = Math.max(0, seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    const two = (value) => String(value).padStart(2, "0");
    return (h ? `${h}:${two(m)}` : `${m}`) + `:${two(Math.floor(s % 60))}`;
  };

  const svg = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  // ---- score timelines: x is 0..1000 over the video, y is 0..100 -------------------------------
  // Runs of points with scores; where nothing could be decoded the curve has a hole.
  function runs(line) {
    const found = [];
    let run = null;
    line.high.forEach((value, k) => {
      if (value === null) run = null;
      else if (run) run.push(k);
      else found.push(run = [k]);
    });
    return found;
  }

  function outline(line, y, from) {
    const n = line.high.length, last = Math.max(1, n - 1), x = (k) => (k / last * 1000).toFixed(1);
    return runs(line).map((ks) => "M" + [
      ...ks.map((k) => `${x(k)} ${y(line.high[k])}`),
      ...ks.slice().reverse().map((k) => `${x(k)} ${y(from ? from[k] : 0)}`),
    ].join("L") + "Z").join("");
  }

  function drawTimeline(line, seek) {
    const top = 1.08 * Math.max(line.threshold * 1.15, ...line.high.filter((v) => v !== null));
    const y = (score) => (100 - 100 * Math.min(1, Math.max(0, score / top))).toFixed(2);
    const length = line.duration || 1;
    const picture = svg("svg", { class: "trace", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "group" });
    picture.setAttribute("aria-label", `score of ${line.video} over time`);
    picture.append(svg("path", { class: "area", d: outline(line, y, null) }));
    picture.append(svg("path", { class: "band", d: outline(line, y, line.low) }));
    picture.append(svg("line", { class: "threshold", x1: 0, x2: 1000, y1: y(line.threshold), y2: y(line.threshold) }));
    for (const card of cards) {
      const id = card.dataset.event, event = data.events[id];
      if (event.video !== line.video) continue;
      const width = Math.max(4, (event.stop - event.start) / length * 1000);
      const span = svg("rect", {
        class: id === current ? "span current" : "span", x: event.start / length * 1000, width, y: 0, height: 100,
        tabindex: 0, role: "button", "data-event": id, "aria-label": `event ${card.dataset.rank} at ${clock(event.start)}`,
      });
      span.addEventListener("click", (press) => {
        press.stopPropagation();
        if (id === current && seek) seek(press); else show(id);
      });
      span.addEventListener("keydown", (press) => {
        if (press.key !== "Enter" && press.key !== " ") return;
        press.preventDefault();
        show(id);
      });
      picture.append(span);
    }
    const box = document.createElement("div"), axis = document.createElement("div");
    axis.className = "axis";
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const mark = document.createElement("span");
      mark.textContent = clock(share * length);
      axis.append(mark);
    }
    box.append(picture, axis);
    return { box, picture, length };
  }

  const lines = byId("timelines");
  for (const line of lines ? data.timelines : []) {
    const row = document.createElement("div"), name = document.createElement("div");
    const video = document.createElement("b"), camera = document.createElement("span");
    row.className = "line";
    row.dataset.camera = line.camera;
    name.className = "line-name";
    video.textContent = line.video;
    camera.textContent = line.camera;
    name.append(video, camera);
    row.append(name, drawTimeline(line).box);
    lines.append(row);
  }

  // ---- the viewer --------------------------------------------------------------------------------
  function clipOf(event) {
    const bytes = Uint8Array.from(atob(event.clip), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  }

  function play(event) {
    clip.pause();
    if (clipUrl) URL.revokeObjectURL(clipUrl);
    clipUrl = event.clip ? clipOf(event) : null;
    clip.hidden = !clipUrl;
    still.hidden = absent.hidden = Boolean(clipUrl);
    if (!clipUrl) return;
    clip.src = clipUrl;
    clip.addEventListener("loadedmetadata", () => {
      clip.currentTime = Math.max(0, Math.max(event.start, event.peak - 1) - event.clipStart);
      clip.play().catch(() => {});  // a browser may refuse; the controls are there
    }, { once: true });
  }

  function show(id) {
    const card = byId(`event-${id}`), event = data.events[id];
    if (!card || !event) return;
    current = id;
    byId("viewer-title").textContent = `${card.dataset.rank}. ${event.camera}`;
    const facts = card.querySelector(".facts").cloneNode(true);
    byId("viewer-facts").replaceChildren(...facts.childNodes);
    const peak = card.querySelector("img.peak");
    if (peak) still.src = peak.src; else still.removeAttribute("src");
    absent.textContent = card.querySelector("a") ? "The clip is in the media folder beside the reports." : "There is no clip of this event.";
    play(event);
    showTimeline(event);
    if (!viewer.open) viewer.showModal();
    history.replaceState(null, "", `#event-${id}`);
  }

  function showTimeline(event) {
    const line = data.timelines.find((one) => one.video === event.video && one.camera === event.camera);
    moveHead = () => {};
    byId("viewer-timeline").replaceChildren();
    if (!line) return;
    const seek = (press) => {
      const frame = drawn.picture.getBoundingClientRect();
      const moment = (press.clientX - frame.left) / frame.width * drawn.length - event.clipStart;
      if (clipUrl && moment >= 0 && moment <= clip.duration) clip.currentTime = moment;
    };
    const drawn = drawTimeline(line, seek);
    drawn.picture.addEventListener("click", seek);
    const head = svg("line", { class: "head", y1: 0, y2: 100 });
    drawn.picture.append(head);
    moveHead = () => {
      const x = (event.clipStart + clip.currentTime) / drawn.length * 1000;
      head.setAttribute("x1", x);
      head.setAttribute("x2", x);
    };
    moveHead();
    byId("viewer-timeline").append(drawn.box);
  }

  function step(by) {
    const visible = [...document.querySelectorAll(".card:not([hidden])")];
    const place = visible.findIndex((card) => card.dataset.event === current);
    if (visible.length) show(visible[(place + by + visible.length) % visible.length].dataset.event);
  }

  for (const card of cards) card.querySelector(".look").addEventListener("click", () => show(card.dataset.event));
  clip.addEventListener("timeupdate", () => moveHead());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (press) => { if (press.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => {
    clip.pause();
    const card = byId(`event-${current}`);
    current = null;
    history.replaceState(null, "", location.pathname + location.search);
    if (card) card.querySelector(".look").focus();
  });
  viewer.addEventListener("keydown", (press) => {
    if (press.target === clip) return;  // arrows seek there
    if (press.key === "ArrowLeft") step(-1);
    if (press.key === "ArrowRight") step(1);
  });

  // ---- filter and sort ---------------------------------------------------------------------------
  const camera = byId("camera"), sort = byId("sort"), list = byId("cards");
  const orders = {
    rank: (a, b) => a.dataset.rank - b.dataset.rank,
    time: (a, b) => (a.dataset.time || Infinity) - (b.dataset.time || Infinity) || orders.rank(a, b),
    camera: (a, b) => a.dataset.camera.localeCompare(b.dataset.camera) || orders.rank(a, b),
    duration: (a, b) => b.dataset.duration - a.dataset.duration,
  };

  function arrange() {
    const wanted = camera.value;
    for (const one of document.querySelectorAll(".card, .line")) one.hidden = Boolean(wanted) && one.dataset.camera !== wanted;
    list.append(...cards.slice().sort(orders[sort.value]));
    const shown = cards.filter((card) => !card.hidden).length;
    byId("shown").textContent = shown === cards.length ? `${shown}` : `${shown} of ${cards.length}`;
  }

  if (camera) {
    camera.addEventListener("change", arrange);
    sort.addEventListener("change", arrange);
    arrange();
  }
  if (location.hash.startsWith("#event-")) show(location.hash.slice("#event-".length));
})();
