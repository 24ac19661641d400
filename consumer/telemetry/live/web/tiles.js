/** The six charts: what each draws, and the number above it. */
const per = (point, number) => number / Math.max(point.s, 0.001);
const rejectedIn = (point) => Object.values(point.rej).reduce((sum, one) => sum + one, 0);

const rejectedOf = (points) => points.reduce((sum, one) => sum + rejectedIn(one), 0);
/** Messages that came to their end; of those that came in some were released and read again. */
const endedOf = (points) => points.reduce((sum, one) => sum + one.end, 0);

const TILES = [
  {
    title: "Throughput",
    lines: [(p) => p.out, (p) => p.in],
    words: (value) => `${rate(value)} articles a second`,
    axis: (top) => `${rate(top)}/s`,
    value: (p) => [rate(p.out), "articles/s"],
    side: (p) => [["", "out"], ["dashed", `in: ${rate(p.in)} messages/s`]],
  },
  {
    title: "Latency, from Kafka to the commit",
    lines: [(p) => p.p50, (p) => p.p99],
    words: (value) => duration(value),
    axis: (top) => duration(top),
    value: (p) => time(p.p50),
    side: (p) => [["", "p50"], ["dashed", `p99: ${duration(p.p99)}`]],
  },
  {
    title: "Lag",
    lines: [(p) => p.lag],
    words: (value) => several(value, "message"),
    axis: (top) => count(top),
    value: (p) => [count(p.lag), p.lag === 1 ? "message" : "messages"],
    side: (p) => [[null, p.lag ? `longest without progress: ${duration(p.age)}` : "nothing waits"]],
  },
  {
    title: "Batch fill",
    lines: [(p) => fillOf(p)],
    floor: 1,
    words: (value) => share(value),
    axis: (top) => share(top),
    value: (p) => [share(fillOf(p)).replace(" %", ""), fillOf(p) === null ? "" : "%"],
    side: (p) => [[null, p.bt === null ? "no batch" : `${rate(p.ba)} articles, ${count(p.bt)} tokens a batch`]],
  },
  {
    title: "Rejected",
    lines: [(p) => per(p, rejectedIn(p)) * 60],
    words: (value) => `${rate(value)} a minute`,
    axis: (top) => `${rate(top)}/min`,
    value: (p, once, isBack) => (isBack ? [rate(per(p, rejectedIn(p)) * 60), "a minute"] : [count(rejectedOf(once)), "in 15 min"]),
    side: (p, once) => [[null, `${share(rejectedOf(once) / Math.max(1, endedOf(once)))} of what came in`]],
  },
  {
    title: "Commits",
    lines: [(p) => per(p, p.ok), (p) => per(p, p.ab)],
    words: (value) => `${rate(value)} a second`,
    axis: (top) => `${rate(top)}/s`,
    value: (p) => [rate(per(p, p.ok)), "a second"],
    side: (p, once) => [["", "committed"], ["dashed", `aborted: ${count(once.reduce((sum, one) => sum + one.ab, 0))} in 15 minutes`]],
  },
];

/** How full a batch is: of its tokens or of its articles, whichever closes it first. */
function fillOf(point) {
  if (point.bt === null || !known.facts) return null;
  return Math.min(1, Math.max(point.bt / known.facts.batch_tokens, point.ba / known.facts.batch_articles));
}

const tiles = TILES.map((tile) => {
  const svg = drawing("svg", { role: "img", "aria-label": tile.title });
  const top = element("span", { class: "top-of", "aria-hidden": "true" });
  const plot = element("div", { class: "plot" }, svg, top);
  const value = element("p", { class: "value" });
  const side = element("p", { class: "side" });
  byId("charts").append(element("figure", { class: "chart" }, element("h3", {}, tile.title), value, side, plot));
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    look(Math.round(((event.clientX - box.left) / box.width - 1) * WINDOW_S / 5) * 5);
  });
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") look(0); });
  return { tile, svg, top, value, side, plot: new Plot(svg, { floor: tile.floor ?? 0 }) };
});

/** `points` are drawn; `once` are those that hold each second once, and are added up. */
function showTiles(points, once, shown, now, looked) {
  for (const { tile, svg, top, value, side, plot } of tiles) {
    const lines = tile.lines.map((line) => points.map((point) => [point.t, line(point)]));
    const largest = plot.draw(now, lines, looked);
    if (largest) say(top, tile.axis(largest));
    set(svg, "aria-label", inWords(tile.title, lines[0], tile.words));
    const [number, unit] = tile.value(shown, once, looked < 0);
    const told = `${number} ${unit}`;
    if (value.dataset.told !== told) {
      value.dataset.told = told;
      value.replaceChildren(`${number} `, element("small", {}, unit));
    }
    const words = tile.side(shown, once);
    const sides = JSON.stringify(words);
    if (side.dataset.told !== sides) {
      side.dataset.told = sides;
      side.replaceChildren(...words.map(([mark, text], at) => element("span", {}, at ? "\u2002" : "", mark === null ? "" : element("i", { class: mark }), text)));
    }
  }
}

/** The table of minutes; made only while it is open. */
function showMinutes(once, now) {
  if (!byId("figures").open) return;
  const minutes = [];
  for (let minute = 0; minute < 15; minute += 1) {
    const inside = once.filter((point) => point.t <= now - minute * 60 && point.t > now - (minute + 1) * 60);
    if (!inside.length) continue;
    const seconds = inside.reduce((sum, one) => sum + one.s, 0);
    const mean = (pick) => inside.reduce((sum, one) => sum + pick(one) * one.s, 0) / seconds;
    const most = (pick) => inside.reduce((most, one) => (pick(one) === null ? most : Math.max(most ?? 0, pick(one))), null);
    const total = (pick) => inside.reduce((sum, one) => sum + pick(one), 0);
    minutes.push([
      minute ? `${minute} to ${minute + 1} min ago` : "the last minute",
      rate(mean((p) => p.out)), rate(mean((p) => p.in)), duration(most((p) => p.p50)), duration(most((p) => p.p99)),
      count(most((p) => p.lag)), share(most(fillOf)), count(total(rejectedIn)), count(total((p) => p.ok)), count(total((p) => p.ab)),
    ]);
  }
  const heads = ["When", "Articles/s", "Messages in/s", "p50, most", "p99, most", "Lag, most", "Batch fill, most", "Rejected", "Committed", "Aborted"];
  byId("minutes").replaceChildren(
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...minutes.map(([when, ...cells]) => element("tr", {}, element("th", { scope: "row" }, when), ...cells.map((cell) => element("td", {}, cell))))),
  );
}
