"use strict";
// What the scripts of the page share. No framework; text from the data is only ever set as textContent.
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
const cardOf = (id) => byId(`event-${id}`);

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const drawn = (name, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const clock = (seconds, decimals = 0) => {
  const s = Math.max(0, seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  const rest = (Math.floor((s % 60) * 10 ** decimals) / 10 ** decimals).toFixed(decimals);
  return (h ? `${h}:${String(m).padStart(2, "0")}` : `${m}`) + `:${rest.padStart(decimals ? 3 + decimals : 2, "0")}`;
};

// The cameras' clock; a zone that this browser does not know is told in UTC.
const wallClock = (() => {
  const style = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  try {
    return new Intl.DateTimeFormat("en-GB", { ...style, timeZone: report.timeZone });
  } catch {
    return new Intl.DateTimeFormat("en-GB", { ...style, timeZone: "UTC", timeZoneName: "short" });
  }
})();

const lasting = (hours) => {
  const minutes = Math.round(hours * 60);
  if (minutes < 120) return `${minutes} min`;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
};

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const picture = (key) => `data:image/jpeg;base64,${report.media[key]}`;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// A browser may refuse to store: what was decided then lasts as long as the page is open.
const kept = {
  memory: {},
  get(key) {
    try { return localStorage.getItem(key); } catch { return this.memory[key] ?? null; }
  },
  set(key, value) {
    try { localStorage.setItem(key, value); } catch { this.memory[key] = value; }
  },
};

let toastTimer = 0;
function say(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { byId("toast").hidden = true; }, 4000);
}

// ---- light or dark -------------------------------------------------------------------------------------
const themes = ["system", "light", "dark"];
let theme = kept.get("anomaly theme") ?? "system";

function applyTheme() {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  document.dispatchEvent(new Event("recolour"));
}

byId("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  kept.set("anomaly theme", theme);
  applyTheme();
});
for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", applyTheme);
applyTheme();

const probe = make("span", { hidden: true });
document.body.append(probe);
function colour(name) {  // as the canvas wants it: of the theme that is shown
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

// ---- why an event was found ----------------------------------------------------------------------------
// Score around the event, what each moment adds to its peak, and what normal video it is most like.
function why(id, onCard) {
  const event = report.events[id], reasons = event.why, box = make("div", { className: "why" });
  if (onCard || reasons?.strip) box.append(...spark(event));
  if (!reasons) return box;
  if (reasons.strip) box.append(contributions(event, reasons.strip));
  const parts = reasons.parts.filter(([, share]) => share >= 0.005);
  if (parts.length > 1) {
    const said = parts.map(([name, share]) => `${name} ${Math.round(100 * share)} %`).join(", ");
    box.append(make("p", { className: "quiet", textContent: `Last word: ${said}` }));
  }
  box.append(...moments("Nearest normal moments", reasons.normals, reasons.unit));
  if (onCard) return box;
  box.append(...moments("Events most like it", reasons.similar, reasons.unit));
  if (reasons.note) box.append(make("p", { className: "quiet", textContent: reasons.note }));
  return box;
}

function lineOf(event) {
  return report.timelines.find((line) => line.video === event.video && line.camera === event.camera);
}

function around(event) {
  const margin = Math.max(4, 0.6 * (event.stop - event.start));
  return [Math.max(0, event.start - margin), event.stop + margin];
}

function spark(event) {
  const line = lineOf(event);
  if (!line) return [];
  const [from, to] = around(event), top = 1.06 * Math.max(event.score, line.threshold);
  const x = (seconds) => (clamp((seconds - from) / (to - from), 0, 1) * 300).toFixed(1);
  const y = (score) => (36 - 36 * clamp(score / top, 0, 1)).toFixed(1);
  let path = "", pen = "M";
  line.seconds.forEach((seconds, k) => {
    if (seconds < from || seconds > to) return;
    if (line.high[k] === null) { pen = "M"; return; }
    path += `${pen}${x(seconds)} ${y(line.high[k])}`;
    pen = "L";
  });
  const box = drawn("svg", { class: "spark", viewBox: "0 -1 300 38", preserveAspectRatio: "none", role: "img" });
  box.setAttribute("aria-label", `score around the event, at its peak ${event.score.toFixed(1)}, threshold ${line.threshold.toFixed(1)}`);
  box.append(
    drawn("rect", { class: "span", x: x(event.start), y: -1, width: x(event.stop) - x(event.start), height: 38 }),
    drawn("path", { class: "course", d: path }),
    drawn("path", { class: "threshold", d: `M0 ${y(line.threshold)}H300` }),
  );
  return [box];
}

function contributions(event, strip) {
  const [from, to] = around(event), most = Math.max(...strip.share, 1e-9);
  const box = drawn("svg", { class: "contributions", viewBox: "0 0 300 10", preserveAspectRatio: "none", role: "img" });
  box.setAttribute("aria-label", "which moments the peak's score comes from");
  box.append(drawn("title", {}, "which moments the peak's score comes from"));
  strip.seconds.forEach((seconds, k) => {
    const next = strip.seconds[k + 1] ?? seconds + (seconds - (strip.seconds[k - 1] ?? seconds - 0.1));
    const left = (seconds - from) / (to - from) * 300, right = (next - from) / (to - from) * 300;
    if (right < 0 || left > 300) return;
    box.append(drawn("rect", {
      x: left.toFixed(1), y: 0, width: Math.max(0.8, right - left).toFixed(1), height: 10,
      "fill-opacity": (strip.share[k] / most).toFixed(2),
    }));
  });
  return box;
}

function moments(title, found, unit) {
  if (!found.length) return [];
  const list = make("ul", { className: "moments" });
  for (const one of found) {
    const shown = report.media[one.picture]
      ? make("img", { src: picture(one.picture), alt: "", decoding: "async" })
      : make("span", { className: "absent", textContent: "no picture" });
    const said = `${one.video} at ${clock(one.seconds)}, distance ${one.distance} ${unit}`;
    const item = make("li", { title: said }, shown, make("small", { textContent: `${one.distance}` }));
    shown.alt = said;
    if (one.event && report.events[one.event]) {
      const button = make("button", { type: "button", ariaLabel: `Show that event: ${said}` });
      button.append(...item.childNodes);
      button.addEventListener("click", () => show(one.event));
      item.append(button);
    }
    list.append(item);
  }
  return [make("h4", { textContent: title }), list];
}

for (const card of cards) card.querySelector(".why").replaceWith(why(card.dataset.event, true));

// ---- heat maps over the peaks: of one card by its button, of all by the box -----------------------------
const heat = byId("heat");

function heatOf(id) {
  const key = report.events[id].why?.heat;
  return key && report.media[key] ? picture(key) : "";
}

function warm(card, isHot) {
  const peak = card.querySelector("img.peak"), button = card.querySelector(".warm");
  if (!peak || !button) return;
  peak.dataset.plain ??= peak.src;
  peak.src = isHot ? heatOf(card.dataset.event) : peak.dataset.plain;
  peak.alt = isHot ? "heat map at the peak" : "at the peak";
  button.setAttribute("aria-pressed", String(isHot));
}

function warmAll() {
  for (const card of cards) warm(card, heat.checked);
}

for (const card of cards) {
  if (!heatOf(card.dataset.event)) continue;
  const button = make("button", { type: "button", className: "warm", textContent: "heat" });
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => warm(card, button.getAttribute("aria-pressed") === "false"));
  card.querySelector(".look").after(button);
  byId("heat-label").hidden = false;
}
heat?.addEventListener("change", warmAll);
