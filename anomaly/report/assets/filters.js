// ---- which events are shown, and in which order --------------------------------------------------------
const form = byId("controls"), list = byId("cards"), calendar = byId("calendar"), budget = byId("budget");
const filters = { camera: byId("camera"), day: byId("day"), severity: byId("severity"), verdict: byId("verdict") };
const orders = {
  rank: (a, b) => a.dataset.rank - b.dataset.rank,
  time: (a, b) => (a.dataset.time || Infinity) - (b.dataset.time || Infinity) || orders.rank(a, b),
  newest: (a, b) => b.dataset.time - a.dataset.time || orders.rank(a, b),
  camera: (a, b) => a.dataset.camera.localeCompare(b.dataset.camera) || orders.rank(a, b),
  duration: (a, b) => b.dataset.duration - a.dataset.duration,
  verdict: (a, b) => a.dataset.verdict.localeCompare(b.dataset.verdict) || orders.rank(a, b),
};

function passes({ dataset }) {
  const { camera, day, severity, verdict } = filters;
  return (!camera.value || dataset.camera === camera.value)
    && (!day.value || dataset.date === day.value)
    && Number(dataset.rarity) >= 0.99 * severity.value
    && (!verdict.value || (dataset.verdict || "none") === verdict.value)
    && reaches(dataset);
}

// With more generous budgets than that of the night, events that have no card would come on top.
function reaches({ event, camera }) {
  const limits = new Map(Object.entries(report.whatIf?.thresholds ?? {})).get(camera);
  return !limits || Number(budget.value) <= report.whatIf.present || report.events[event].score >= limits[budget.value];
}

function arrange() {
  for (const card of cards) card.hidden = !passes(card);
  const videos = new Set(cards.filter((card) => !card.hidden).map((card) => report.events[card.dataset.event].video));
  for (const line of document.querySelectorAll(".timelines .line")) line.hidden = !videos.has(line.dataset.video);
  list.append(...cards.slice().sort(orders[byId("sort").value]));
  const shown = cards.filter((card) => !card.hidden).length;
  byId("shown").textContent = shown === cards.length ? `${shown}` : `${shown} of ${cards.length}`;
  byId("none-left").hidden = shown > 0;
  byId("everything").hidden = shown === cards.length;
  drawCalendar();
  tellBudget();
}

// ---- days ----------------------------------------------------------------------------------------------
const mostDays = 62;

function drawCalendar() {
  const wanted = filters.camera?.value ?? "", totals = new Map();
  for (const { camera, date, videos, events } of report.days) {
    if (wanted && camera !== wanted) continue;
    const before = totals.get(date) ?? { videos: 0, events: 0 };
    totals.set(date, { videos: before.videos + videos, events: before.events + events });
  }
  const dates = datesBetween([...totals.keys()]), most = Math.max(1, ...[...totals.values()].map((day) => day.events));
  calendar.replaceChildren(...dates.map((date) => dayButton(date, totals.get(date), most)));
}

function datesBetween(known) {
  const dated = known.filter((date) => /^\d{4}-\d\d-\d\d$/.test(date)).sort(), all = [];
  if (dated.length) {
    const last = Date.parse(dated.at(-1)), first = Math.max(Date.parse(dated[0]), last - (mostDays - 1) * 864e5);
    for (let day = first; day <= last; day += 864e5) all.push(new Date(day).toISOString().slice(0, 10));
  }
  return [...all, ...known.filter((date) => !dated.includes(date)).sort()];
}

function dayButton(date, total, most) {
  const dated = /^\d{4}-\d\d-\d\d$/.test(date), when = new Date(`${date}T12:00Z`);
  const word = (options) => when.toLocaleDateString("en-GB", { timeZone: "UTC", ...options });
  const name = dated ? word({ weekday: "short", day: "numeric", month: "short" }) : date;
  const button = make("button", { type: "button", className: "day" },
    make("small", { textContent: dated ? word({ weekday: "short" }) : "no date" }),
    make("b", { textContent: total ? String(total.events) : "–" }),
    make("small", { textContent: dated ? word({ day: "numeric", month: "short" }) : "" }));
  button.dataset.level = total?.events ? Math.ceil(3 * total.events / most) : 0;
  button.disabled = !total || !form;
  button.ariaLabel = total ? `${name}: ${plural(total.events, "event")}, ${plural(total.videos, "video")}` : `${name}: no footage`;
  button.setAttribute("aria-pressed", String(filters.day?.value === date));
  button.addEventListener("click", () => {
    filters.day.value = filters.day.value === date ? "" : date;
    arrange();
    calendar.querySelector(`[aria-label^="${name}:"]`)?.focus();
  });
  return button;
}

// ---- other alarm budgets -------------------------------------------------------------------------------
function rate(value) {
  if (value >= 0.95) return `${value >= 10 ? Math.round(value) : Number(value.toFixed(1))} a day`;
  const days = 1 / value;
  return days < 60 ? `1 in ${Number(days.toFixed(days < 10 ? 1 : 0))} days` : days < 700 ? `1 in ${Math.round(days / 30.4)} months` : `1 in ${Math.round(days / 365)} years`;
}

function tellBudget() {
  if (!budget) return;
  const { budgets, present, thresholds, days } = report.whatIf, step = Number(budget.value);
  const wanted = filters.camera.value, day = filters.day.value;
  const counted = days.filter((one) => (!wanted || one.camera === wanted) && (!day || one.date === day));
  const events = counted.reduce((sum, one) => sum + one.counts[step], 0);
  const hours = counted.reduce((sum, one) => sum + one.hours, 0);
  const limits = counted.length ? [...new Set(counted.map((one) => one.camera))].map((one) => thresholds[one][step]) : [];
  const range = limits.length ? [...new Set([Math.min(...limits), Math.max(...limits)].map((one) => one.toFixed(1)))].join(" to ") : "–";
  const expected = budgets[step] * hours / 24, now = step === present;
  const strong = (text) => make("b", { textContent: text });
  byId("budget-says").replaceChildren(
    strong(rate(budgets[step])), ` and camera${now ? ", as now" : ""}: `, strong(plural(events, "event")),
    ` in ${lasting(hours)} of footage, where the budget expects `,
    strong(expected < 0.05 ? "no false alarm" : plural(Number(expected.toPrecision(expected < 1 ? 1 : 2)), "false alarm")), `. Threshold ${range}.`,
    ...(now ? [] : [" To keep it, train with ", make("code", { textContent: `--alarms-per-camera-day ${Number(budgets[step].toPrecision(2))}` }), "."]),
  );
  budget.ariaValueText = `${rate(budgets[step])} and camera: ${plural(events, "event")}`;
}

// ---- keys of the page ----------------------------------------------------------------------------------
function walk(by) {
  const visible = [...list.querySelectorAll(".card:not([hidden]) .look")];
  const place = visible.indexOf(document.activeElement?.closest(".card")?.querySelector(".look"));
  visible[clamp(place + by, 0, visible.length - 1)]?.focus();
}

const pageKeys = {
  j: () => walk(1), k: () => walk(-1),
  r: (id) => id && judge(id, "real"), f: (id) => id && judge(id, "false"), u: (id) => id && judge(id, "unsure"),
  h: () => { if (heat && !byId("heat-label").hidden) { heat.checked = !heat.checked; warmAll(); } },
};

document.addEventListener("keydown", (press) => {
  if (viewer.open || press.ctrlKey || press.metaKey || press.altKey) return;
  if (press.target.closest("select, textarea, input:not([type=range], [type=checkbox])")) return;
  pageKeys[press.key]?.(document.activeElement?.closest(".card")?.dataset.event);
});

if (form) {
  form.addEventListener("submit", (press) => press.preventDefault());
  for (const control of [...Object.values(filters), byId("sort"), budget]) control?.addEventListener("input", arrange);
  byId("everything").addEventListener("click", () => {
    for (const control of Object.values(filters)) control.selectedIndex = 0;
    if (budget) budget.value = report.whatIf.present;
    arrange();
  });
  arrange();
} else if (calendar) drawCalendar();
if (location.hash.startsWith("#event-")) show(location.hash.slice("#event-".length));
