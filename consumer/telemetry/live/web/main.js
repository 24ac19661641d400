/** Asks the worker once a second, while somebody looks, and shows what it says. */
const EVERY_MS = 1000;
const PATIENCE_MS = 5000;
/** Seconds without an answer after which the page says so. */
const GONE_S = 3;

const KINDS = {
  flowing: ["Flowing", "M2 8.6 6.2 13 14 3.6 12.3 2.2 6.1 9.8 3.5 7z"],
  arriving: ["Arriving", "M6.8 2h2.4v7l3.1-3.1L14 7.6l-6 6-6-6 1.7-1.7L6.8 9z"],
  idle: ["Idle", "M8 2a6 6 0 1 0 .01 0zm0 2a4 4 0 1 1-.01 0z"],
  behind: ["Behind", "M8 1.5 15 14H1z"],
  standing: ["Standing", "M3 3h10v10H3z"],
  waiting: ["Waiting", "M3 2h10v2L9.5 8 13 12v2H3v-2l3.5-4L3 4z"],
  stuck: ["Stuck", "M5 1h6l4 4v6l-4 4H5l-4-4V5z"],
  gone: ["No answer", "M3.4 2 8 6.6 12.6 2 14 3.4 9.4 8 14 12.6 12.6 14 8 9.4 3.4 14 2 12.6 6.6 8 2 3.4z"],
  asking: ["Asking", "M8 2a6 6 0 1 0 .01 0z"],
};
const ICON_COLORS = { flowing: "0d6e4f", arriving: "0d6e4f", idle: "4f5b66", behind: "c77700", standing: "c4362d", waiting: "2a55a5", stuck: "c4362d", gone: "777777", asking: "777777" };

function look(seconds) {
  known.looked = Math.max(-WINDOW_S, Math.min(0, seconds));
  redraw();
}

/** The point of the moment that is looked at. */
function lookedAt(points, now) {
  if (known.looked > -2.5) return known.latest;
  const wanted = now + known.looked;
  let best = null;
  for (const point of points) {
    if (best === null || Math.abs(point.t - wanted) < Math.abs(best.t - wanted)) best = point;
  }
  return best ?? known.latest;
}

function redraw() {
  if (!known.latest) return;
  const now = known.latest.t;
  const points = [...known.points.filter((point) => point.t < now), known.latest];
  // The latest seconds begin where a point ends, and the points after that hold some of them too.
  const begins = now - known.latest.s + 0.1;
  const once = points.filter((point) => point === known.latest || point.t <= begins);
  const shown = lookedAt(points, now);
  const isBack = shown !== known.latest;
  document.body.classList.toggle("looking", isBack);
  const words = isBack ? ago(now - shown.t) : "now";
  say(byId("looked"), words);
  byId("look").setAttribute("aria-valuetext", words);
  if (document.activeElement !== byId("look") || !isBack) byId("look").value = String(known.looked);
  showTiles(points, once, shown, now, isBack ? known.looked : 0);
  showPanels(points, once, shown, known.latest, now, isBack ? known.looked : 0);
  showMinutes(once, now);
}

function showState({ kind, sentence, reasons }) {
  const [name, shape] = KINDS[kind] ?? KINDS.waiting;
  if (byId("state").dataset.kind !== kind) {
    byId("state").dataset.kind = kind;
    byId("shape").setAttribute("d", shape);
    say(byId("kind"), name);
    document.title = `${name} · nerstream`;
    byId("icon").href = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="${SVG}" viewBox="0 0 16 16"><path fill="#${ICON_COLORS[kind] ?? "777777"}" d="${shape}"/></svg>`)}`;
    // The sentence changes each second; who hears the page hears what has become another thing.
    if (known.kind !== undefined) say(byId("announcement"), sentence);
    known.kind = kind;
  }
  say(byId("sentence"), sentence);
  const told = reasons.join("\n");
  if (known.reasons !== told) {
    known.reasons = told;
    byId("reasons").replaceChildren(...reasons.map((reason) => element("li", { dir: "auto" }, reason)));
    byId("reasons").hidden = !reasons.length;
  }
}

function showFacts(facts) {
  const told = JSON.stringify(facts);
  if (known.told === told) return;
  known.told = told;
  known.facts = facts;
  const name = (text) => element("bdi", {}, text);
  byId("facts").replaceChildren(
    ...facts.inputs.flatMap((topic, at) => [at ? ", " : "", name(topic)]), " → ", name(facts.output),
    "\u2002·\u2002group ", name(facts.group), ...(facts.instance ? [" as ", name(facts.instance)] : []),
    ...(facts.models.length ? ["\u2002·\u2002", ...facts.models.flatMap((model, at) => [at ? ", " : "", name(model)])] : []),
  );
  say(byId("foot"), `nerstream ${facts.version} · ${facts.delivery.replaceAll("_", " ")} · rejected messages go to ${facts.dead_letters}`);
}

function show(answer) {
  const isNew = answer.boot !== known.boot;
  if (isNew) {
    known.boot = answer.boot;
    known.points = [];
    known.number = 0;
  }
  known.points.push(...answer.points);
  known.points.splice(0, Math.max(0, known.points.length - answer.kept));
  known.latest = answer.latest;
  known.heard = performance.now();
  known.at = answer.now;
  known.colors = answer.colors;
  document.body.classList.remove("stale");
  showFacts(answer.facts);
  showState(answer.state);
  showFeed(answer.feed, isNew);
  redraw();
  say(byId("pulse"), `updated ${clockTime(answer.now)}`);
}

function showGone(why) {
  const silent = (performance.now() - known.heard) / 1000;
  if (silent < GONE_S) return;
  document.body.classList.add("stale");
  const last = known.at ? `Last heard from at ${clockTime(known.at)}, ${duration(silent)} ago; the figures are from then.` : "It has not answered yet.";
  showState({ kind: "gone", sentence: "The worker does not answer.", reasons: [last, why] });
  say(byId("pulse"), "asking again");
}

async function ask() {
  const last = known.points.length ? known.points[known.points.length - 1].t : 0;
  const query = new URLSearchParams({ boot: known.boot ?? "", after: last, number: known.number });
  try {
    // By the origin: an address with a name and a password in it may not be asked.
    const address = new URL(`live.json?${query}`, location.origin + location.pathname);
    const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const answer = await response.json();
    if (!known.paused) show(answer);
  } catch (failure) {
    const why = failure.name === "TimeoutError" ? "No answer came within 5 s."
      : failure.name === "TypeError" ? "The connection failed: it has ended, or the network is down." : `Its answer cannot be used: ${failure.message}.`;
    if (!known.paused) showGone(why);
  }
}

async function keepAsking() {
  for (;;) {
    const began = performance.now();
    if (!document.hidden && !known.paused) await ask();
    await new Promise((resolve) => { known.wake = resolve; setTimeout(resolve, Math.max(50, EVERY_MS - (performance.now() - began))); });
  }
}

// A proxy may have the page at a path without a slash; what it asks and links to lies below that.
if (!location.pathname.endsWith("/")) history.replaceState(null, "", `${location.pathname}/${location.search}${location.hash}`);
byId("look").addEventListener("input", (event) => look(Number(event.target.value)));
byId("figures").addEventListener("toggle", redraw);
byId("pause").addEventListener("click", () => {
  known.paused = !known.paused;
  byId("pause").setAttribute("aria-pressed", String(known.paused));
  if (known.paused) say(byId("pulse"), `stands at ${known.at ? clockTime(known.at) : "the beginning"}`);
  else { known.heard = performance.now(); known.wake?.(); }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) { known.heard = performance.now(); known.wake?.(); }
});
keepAsking();
