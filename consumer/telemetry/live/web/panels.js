/** Partitions, stages, the transaction, rejections, names. */
function headed(id, heads) {
  const body = element("tbody");
  byId(id).append(
    element("thead", {}, element("tr", {}, ...heads.map(([head, className, width]) => {
      const cell = element("th", { scope: "col", class: className }, head);
      if (width) cell.style.width = width;
      return cell;
    }))),
    body,
  );
  return body;
}

function spark() {
  const svg = drawing("svg", { "aria-hidden": "true" });
  return { svg, plot: new Plot(svg, { frame: false }) };
}

function line(points, pick) {
  return points.map((point) => [point.t, pick(point)]);
}

const partitionRows = new Rows(
  headed("partitions", [["Partition", null, null], ["Messages behind", "n", "21%"], ["Without progress", "n", "21%"], ["Last 15 min", "spark", "32%"]]),
  (key) => {
    const lag = element("td", { class: "n" }), age = element("td", { class: "n" }), drawn = spark();
    const node = element("tr", {}, element("th", { scope: "row" }, element("bdi", {}, key)), lag, age, element("td", { class: "spark" }, drawn.svg));
    return { node, lag, age, plot: drawn.plot };
  },
  (row, [[lag, age], points, now, looked, floor], key) => {
    say(row.lag, count(lag));
    say(row.age, lag ? duration(age) : "at its end");
    row.age.classList.toggle("alarm", lag > 0 && age >= 60);
    row.plot.draw(now, [line(points, (point) => point.parts[key]?.[0] ?? null)], looked, floor);
  },
);

const STAGES = ["poll", "prepare", "tag", "publish", "commit"];
const stageRows = new Rows(
  headed("stages", [["Stage", null, "4.8rem"], ["Busy", "wide", null], ["Share", "n", "4.2rem"], ["A unit", "n", "4.6rem"]]),
  (key) => {
    const fill = element("b"), busy = element("td", { class: "n" }), unit = element("td", { class: "n" });
    const node = element("tr", {}, element("th", { scope: "row" }, key),
      element("td", { "aria-hidden": "true" }, element("span", { class: "bar" }, fill)), busy, unit);
    return { node, fill, busy, unit };
  },
  (row, [busy, unit]) => {
    row.fill.style.width = `${busy * 100}%`;
    say(row.busy, share(busy));
    say(row.unit, unit === undefined ? NONE : duration(unit));
  },
);

const rejectionRows = new Rows(
  headed("rejections", [["Code", null, null], ["In 15 min", "n", "26%"], ["When", "spark", "34%"]]),
  (key) => {
    const total = element("td", { class: "n" }), drawn = spark();
    const node = element("tr", {}, element("th", { scope: "row" }, element("code", {}, key)), total, element("td", { class: "spark" }, drawn.svg));
    return { node, total, plot: drawn.plot };
  },
  (row, [total, points, now, looked], key) => {
    say(row.total, count(total));
    row.plot.draw(now, [line(points, (point) => point.rej[key] ?? 0)], looked);
  },
);

const entityRows = new Rows(
  headed("entities", [["Type", null, "32%"], ["Share", null, null], ["In 15 min", "n", "26%"]]),
  (key) => {
    const color = known.colors[key] ?? "silver";
    const fill = element("b", { class: `c-${color}` }), total = element("td", { class: "n" });
    const node = element("tr", {}, element("th", { scope: "row" }, element("span", { class: `type c-${color}` }, key)),
      element("td", { "aria-hidden": "true" }, element("span", { class: "bar" }, fill)), total);
    return { node, fill, total };
  },
  (row, [total, most]) => {
    row.fill.style.width = `${most ? 100 * total / most : 0}%`;
    say(row.total, count(total));
  },
);

/** The sums of what points hold by key, the largest first. */
function totals(points, pick) {
  const sums = new Map();
  for (const point of points) {
    for (const [key, number] of Object.entries(pick(point))) sums.set(key, (sums.get(key) ?? 0) + number);
  }
  return [...sums].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1));
}

function showPanels(points, once, shown, latest, now, looked) {
  const parts = Object.entries(shown.parts);
  // One scale for all, so that they can be compared, and none that makes much of a few messages.
  const floor = points.reduce((most, point) => Object.values(point.parts).reduce((max, [lag]) => Math.max(max, lag), most), 20);
  partitionRows.show(parts.map(([key, values]) => [key, [values, points, now, looked, floor]]));
  byId("partitions").hidden = !parts.length;
  const others = latest.parts_all - parts.length;
  say(byId("partitions-note"), !parts.length ? "No partition is assigned, or none has told its lag yet."
    : others > 0 ? `And ${several(others, "partition")} with less lag, in the total above.` : "");
  stageRows.show(STAGES.filter((stage) => stage in shown.busy).map((stage) => [stage, [shown.busy[stage], latest.unit[stage]]]));
  showTransaction(once, latest, now);
  const codes = totals(once, (point) => point.rej);
  rejectionRows.show(codes.slice(0, 8).map(([code, total]) => [code, [total, points, now, looked]]));
  byId("rejections").hidden = !codes.length;
  say(byId("rejections-note"), codes.length ? (codes.length > 8 ? `And ${several(codes.length - 8, "code")} more in /metrics.` : "") : "None in the last 15 minutes.");
  const types = totals(once, (point) => point.ent);
  entityRows.show(types.slice(0, 8).map(([type, total]) => [type, [total, types[0][1]]]));
  byId("entities").hidden = !types.length;
  say(byId("entities-note"), types.length ? (types.length > 8 ? `And ${several(types.length - 8, "type")} more in /metrics.` : "") : "None in the last 15 minutes.");
}

const transaction = new Map();
function showTransaction(once, latest, now) {
  const committed = latest.ok ? latest : [...once].reverse().find((point) => point.ok);
  const aborted = once.reduce((sum, one) => sum + one.ab, 0);
  const queues = Object.entries(latest.queues).map(([name, depth]) => `${name} ${count(depth)}`).join(" · ");
  const rows = [
    ["In flight", `${several(latest.fly, "message")}, ${bytes(latest.fly_bytes)}`],
    ["Reading", latest.paused ? "paused: as many are in flight as may be" : "open"],
    ["Last commit", committed ? ago(Math.max(0, now - committed.t)) : "none in 15 minutes"],
    ["A commit takes", latest.unit.commit === undefined ? NONE : duration(latest.unit.commit)],
    ["Aborted in 15 min", count(aborted), aborted > 0],
    ["Waiting", queues || NONE],
  ];
  if (latest.run) {
    const { total, done, left } = latest.run;
    rows.push(["Bounded run", `${share(done / total)} of ${count(total)}, ${left === null ? "nothing moves" : `${duration(left)} left`}`]);
  }
  for (const [name, value, alarming] of rows) {
    let cell = transaction.get(name);
    if (!cell) {
      cell = element("dd");
      transaction.set(name, cell);
      byId("transaction").append(element("dt", {}, name), cell);
    }
    say(cell, value);
    cell.classList.toggle("alarm", Boolean(alarming));
  }
}
