// ---- one event: its clip, or the whole video, and the score beside it ----------------------------------
const viewer = byId("viewer"), clip = byId("clip"), still = byId("still"), absent = byId("absent");
let current = null, source = "clip", clipUrl = "", timeline = null;
const begins = () => (source === "clip" ? report.events[current]?.clipStart ?? 0 : 0);
const moment = () => begins() + clip.currentTime;
const hasClip = (event) => Boolean(event.clip && report.media[event.clip]);
const hasOriginal = (event) => Boolean(event.original) && location.protocol === "file:";

function show(id) {
  const card = cardOf(id), event = report.events[id];
  if (!card || !event) return;
  keepNote();
  current = id;
  byId("viewer-title").textContent = `${card.dataset.rank}. ${event.camera}`;
  byId("viewer-facts").replaceChildren(...card.querySelector(".facts").cloneNode(true).childNodes);
  byId("viewer-why").replaceChildren(why(id, false));
  showJudgement();
  const peak = card.querySelector("img.peak");
  if (peak) still.src = peak.dataset.plain ?? peak.src;
  else still.removeAttribute("src");
  if (!viewer.open) {
    viewer.showModal();
    byId("viewer-title").focus();
  }
  play(hasClip(event) ? "clip" : hasOriginal(event) ? "original" : "clip", Math.max(event.start, event.peak - 1));
  showTimeline(event);
  history.replaceState(null, "", `#event-${id}`);
}

function play(wanted, seconds) {
  const event = report.events[current];
  source = wanted;
  clip.pause();
  if (clipUrl) URL.revokeObjectURL(clipUrl);
  clipUrl = source === "clip" && hasClip(event) ? clipOf(event) : "";
  const address = source === "clip" ? clipUrl : source === "original" ? event.original : "";
  if (source === "heat") still.src = heatOf(current);
  clip.hidden = !address;
  still.hidden = Boolean(address) || !still.hasAttribute("src");
  absent.hidden = Boolean(address) || source === "heat";
  absent.textContent = cardOf(current).querySelector("a") ? "The clip is in the media folder beside the reports." : "There is no clip of this event.";
  const can = { clip: hasClip(event), original: hasOriginal(event), heat: Boolean(heatOf(current)) };
  for (const button of viewer.querySelectorAll("[data-source]")) {
    button.setAttribute("aria-pressed", String(button.dataset.source === source));
    button.hidden = !can[button.dataset.source];
  }
  if (!address) { clip.removeAttribute("src"); clip.load(); return; }
  clip.src = address;
  clip.loop = source === "clip";
  clip.onloadedmetadata = () => {
    jump(seconds);
    clip.play().catch(() => {});  // a browser may refuse; the controls are there
  };
}

function clipOf(event) {
  const bytes = Uint8Array.from(atob(report.media[event.clip]), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
}

// A moment outside the clip is shown from the whole video where that is at hand.
function seek(seconds) {
  const event = report.events[current], inside = seconds >= event.clipStart && seconds <= event.clipStop;
  if (source === "clip" && !inside && hasOriginal(event)) { play("original", seconds); return; }
  if (source === "heat") { play(hasClip(event) ? "clip" : "original", seconds); return; }
  if (source === "clip" && !inside) say("Only the underlined seconds are kept as a clip.");
  jump(seconds);
}

function jump(seconds) {
  if (clip.readyState >= 1) clip.currentTime = clamp(seconds - begins(), 0, Math.max(0, clip.duration - 0.05));
}

function moveAlong() {
  if (!current || clip.hidden) return;
  timeline?.moveHead(moment());
  byId("now").textContent = `${clock(moment(), 1)} in the video`;
}

function follow() {
  moveAlong();
  if (!clip.paused && viewer.open) requestAnimationFrame(follow);
}

function showTimeline(event) {
  timeline?.remove();
  const line = lineOf(event);
  timeline = line ? drawTimeline(byId("viewer-timeline"), line, {
    height: 170, current, span: hasClip(event) ? [event.clipStart, Math.min(event.clipStop, line.duration)] : null, at: seek,
  }) : null;
  timeline?.zoom(...eventSpan(event));
}

function eventSpan(event) {
  const margin = Math.max(10, event.stop - event.start);
  return [event.start - margin, event.stop + margin];
}

function zoomBy(factor) {
  if (!timeline) return;
  const { min, max } = timeline.plot.scales.x, middle = clamp(clip.hidden ? (min + max) / 2 : moment(), min, max);
  timeline.zoom(middle - (middle - min) * factor, middle + (max - middle) * factor);
}

function toggleZoom() {
  if (!timeline) return;
  const { min, max } = timeline.plot.scales.x, [, end] = timeline.whole;
  timeline.zoom(...(max - min < 0.99 * end ? timeline.whole : eventSpan(report.events[current])));
}

function step(by) {
  const visible = [...document.querySelectorAll(".card:not([hidden])")];
  const place = visible.findIndex((card) => card.dataset.event === current);
  if (visible.length) show(visible[(place + by + visible.length) % visible.length].dataset.event);
}

// ---- verdict of the event that is shown ----------------------------------------------------------------
function showJudgement() {
  const record = said.get(current);
  for (const button of viewer.querySelectorAll("[data-verdict]")) {
    button.setAttribute("aria-pressed", String(record?.verdict === button.dataset.verdict));
  }
  if (document.activeElement !== byId("note")) byId("note").value = record?.note ?? "";
}

function keepNote() {
  if (!current || !report.events[current]) return;
  const note = byId("note").value.trim(), record = said.get(current);
  if (note !== (record?.note ?? "")) decide(current, record?.verdict ?? "unsure", note);
}

function judge(id, verdict) {
  decide(id, verdict, id === current ? byId("note").value.trim() : undefined);
  showJudgement();
}

for (const button of viewer.querySelectorAll("[data-verdict]")) button.addEventListener("click", () => judge(current, button.dataset.verdict));
byId("note").addEventListener("change", () => { keepNote(); showJudgement(); });
byId("note").addEventListener("keydown", (press) => {
  if (press.key !== "Enter" || press.shiftKey) return;
  press.preventDefault();
  byId("viewer-title").focus();
});

// ---- keys and buttons ----------------------------------------------------------------------------------
const viewerKeys = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: () => step(-1), j: () => step(1),
  " ": () => (clip.paused ? clip.play() : clip.pause()),
  ",": () => { clip.pause(); seek(moment() - 0.2); }, ".": () => { clip.pause(); seek(moment() + 0.2); },
  z: toggleZoom, "+": () => zoomBy(0.6), "=": () => zoomBy(0.6), "-": () => zoomBy(1.7),
  r: () => judge(current, "real"), f: () => judge(current, "false"), u: () => judge(current, "unsure"),
  n: () => byId("note").focus(),
  h: () => { if (heatOf(current)) play(source === "heat" ? "clip" : "heat", report.events[current].peak); },
};

viewer.addEventListener("keydown", (press) => {
  const { target, key } = press;
  if (press.ctrlKey || press.metaKey || press.altKey || target === byId("note")) return;
  if (target === clip && (key.startsWith("Arrow") || key === " ")) return;  // the player's own
  if (key === " " && target.closest("button, a")) return;
  const act = viewerKeys[key];
  if (!act) return;
  press.preventDefault();
  act();
});
for (const card of cards) card.querySelector(".look").addEventListener("click", () => show(card.dataset.event));
for (const button of viewer.querySelectorAll("[data-source]")) {
  button.addEventListener("click", () => play(button.dataset.source, clip.hidden ? report.events[current].peak : moment()));
}
for (const name of ["timeupdate", "seeked"]) clip.addEventListener(name, moveAlong);
clip.addEventListener("play", follow);
clip.addEventListener("error", () => {
  if (source !== "original") return;
  say("This browser cannot play the whole video.");
  const event = report.events[current];
  event.original = "";
  play("clip", event.peak);
});
byId("zoom-event").addEventListener("click", () => timeline?.zoom(...eventSpan(report.events[current])));
byId("zoom-all").addEventListener("click", () => timeline?.zoom(...timeline.whole));
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (press) => { if (press.target === viewer) viewer.close(); });
viewer.addEventListener("close", () => {
  keepNote();
  clip.onloadedmetadata = null;
  clip.pause();
  timeline?.remove();
  timeline = null;
  const card = cardOf(current);
  current = null;
  history.replaceState(null, "", location.pathname + location.search);
  if (card) card.querySelector(".look").focus();
});
