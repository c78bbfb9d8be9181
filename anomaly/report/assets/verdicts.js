// ---- verdicts: what people say of events ---------------------------------------------------------------
// Kept in this browser and saved to a file for `anomaly verdicts import`; or, on a page that
// `anomaly review` serves, posted to it one by one. The latest verdict on an event counts.
const reviewAddress = document.querySelector('meta[name="review"]')?.content ?? "";
const verdictKey = `anomaly verdicts ${report.archive}`;
const said = new Map();  // event id -> record
const unsaved = new Set();

function recall() {
  for (const [id, event] of Object.entries(report.events)) if (event.verdict) said.set(id, event.verdict);
  if (reviewAddress) return;
  let mine = {};
  try { mine = JSON.parse(kept.get(verdictKey) ?? "{}"); } catch { /* somebody else's text: begin anew */ }
  for (const [id, record] of Object.entries(mine)) {
    if (!report.events[id]) continue;
    const known = said.get(id);
    if (known && Date.parse(known.decided_at) >= Date.parse(record.decided_at)) continue;
    said.set(id, record);
    unsaved.add(id);
  }
}

function decide(id, verdict, note = said.get(id)?.note ?? "") {
  const event = report.events[id], before = said.get(id);
  if (!event || (before?.verdict === verdict && before.note === note)) return;
  const record = {
    event_id: id, archive: report.archive, camera: event.camera, video: event.video,
    start_seconds: event.start, stop_seconds: event.stop, verdict, note, decided_at: new Date().toISOString(),
  };
  said.set(id, record);
  unsaved.add(id);
  if (reviewAddress) post(record);
  else keep();
  showVerdict(id);
  document.dispatchEvent(new CustomEvent("verdict", { detail: id }));
}

function keep() {
  let stored = {};
  try { stored = JSON.parse(kept.get(verdictKey) ?? "{}"); } catch { /* begin anew */ }
  for (const id of unsaved) stored[id] = said.get(id);
  kept.set(verdictKey, JSON.stringify(stored));
}

async function post(record) {
  try {
    const answer = await fetch(reviewAddress, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(record),
    });
    if (!answer.ok) throw new Error(`answer ${answer.status}`);
    unsaved.delete(record.event_id);
  } catch (error) {
    say(`The verdict did not reach the server (${error.message}). Save it to a file.`);
  }
  showJudged();
}

function showVerdict(id) {
  const record = said.get(id), line = cardOf(id).querySelector(".said");
  cardOf(id).dataset.verdict = record?.verdict ?? "";
  line.hidden = !record;
  line.replaceChildren();
  if (record) line.append(make("b", { textContent: record.verdict }), record.note ? ` ${record.note}` : "");
  showJudged();
}

function showJudged() {
  if (!byId("save")) return;
  byId("judged").textContent = `${said.size} of ${cards.length} judged`;
  byId("save").disabled = unsaved.size === 0;
  byId("save").hidden = Boolean(reviewAddress) && unsaved.size === 0;
  byId("save").textContent = unsaved.size ? `Save ${plural(unsaved.size, "verdict")}` : "Save verdicts";
}

function save() {
  const verdicts = [...unsaved].map((id) => said.get(id));
  const content = { archive: report.archive, checkpoint: report.checkpoint, verdicts };
  const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  const name = `verdicts-${report.archive.replace(/[^\w.-]+/g, "_")}-${new Date().toISOString().slice(0, 10)}.json`;
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  say(`Saved ${name}. Take it in with: anomaly verdicts import ${name}`);
}

recall();
for (const card of cards) showVerdict(card.dataset.event);
byId("save")?.addEventListener("click", save);
