/** Small charts over one axis of time. All of them look back to the same moment. */
const WINDOW_S = 900;

/** The next of 1, 2, 2.5, 5, 10 ... from this number up. */
function ceiling(number) {
  if (!(number > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(number));
  for (const step of [1, 2, 2.5, 5, 10]) {
    if (number <= step * power * 1.0000001) return step * power;
  }
  return number;
}

/** Draws lines of [time, value or null] into an svg; a null leaves a gap. */
class Plot {
  constructor(svg, { area = true, frame = true, floor = 0 } = {}) {
    this.svg = svg;
    this.height = 0;
    this.area = area;
    this.frame = frame;
    this.floor = floor;
    this.width = 0;
    this.parts = new Map();
    widths.observe(svg);
    plots.set(svg, this);
  }

  part(name, tag, className, under = null) {
    let part = this.parts.get(name);
    if (!part) {
      part = drawing(tag, { class: className });
      this.parts.set(name, part);
      this.svg.insertBefore(part, under);
    }
    return part;
  }

  /** The largest value that the axis has. */
  draw(now, lines, looked, floor = this.floor) {
    const width = this.width;
    if (!width) return 0;
    const height = this.height;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let largest = floor;
    for (const line of lines) for (const [at, value] of line) {
      if (value !== null && at > now - WINDOW_S && value > largest) largest = value;
    }
    const top = ceiling(largest);
    const x = (at) => width * (1 + (at - now) / WINDOW_S);
    const y = (value) => height - 1 - (height - 3) * Math.min(1, value / top);
    if (this.frame) {
      set(this.part("base", "path", "grid"), "d", `M0 ${height - .5}H${width}`);
      set(this.part("top", "path", "grid top-line"), "d", `M0 1.5H${width}`);
    }
    lines.forEach((line, index) => {
      const [path, area, last] = traced(line, now, x, y, height);
      if (index === 0 && this.area) set(this.part("area", "path", "area"), "d", area);
      const under = index ? this.parts.get("line0") : null;
      set(this.part(`line${index}`, "path", index ? "line second" : "line", under), "d", path);
      if (index === 0) {
        const dot = this.part("dot", "circle", "dot");
        const shown = last && this.frame;
        set(dot, "r", shown ? 3.5 : 0);
        if (shown) { set(dot, "cx", last[0]); set(dot, "cy", last[1]); }
      }
    });
    const cross = this.part("cross", "path", "cross");
    set(cross, "d", looked < -2.5 ? `M${x(now + looked).toFixed(1)} 0V${height}` : "");
    return top;
  }
}

function set(part, name, value) {
  part.setAttribute(name, value);
}

function traced(line, now, x, y, height) {
  let path = "", area = "", first = null, last = null;
  const close = () => {
    if (first !== null && last !== null) area += `L${last[0]} ${height - 1}L${first} ${height - 1}Z`;
    first = null;
  };
  for (const [at, value] of line) {
    if (at < now - WINDOW_S - 10) continue;
    if (value === null) { close(); last = null; continue; }
    const point = [Math.max(0, x(at)).toFixed(1), y(value).toFixed(1)];
    path += `${first === null ? "M" : "L"}${point[0]} ${point[1]}`;
    area += `${first === null ? "M" : "L"}${point[0]} ${point[1]}`;
    if (first === null) first = point[0];
    last = point;
  }
  close();
  return [path, area, last];
}

const plots = new Map();
const widths = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const plot = plots.get(entry.target);
    if (plot) {
      plot.width = Math.round(entry.contentRect.width);
      plot.height = Math.round(entry.contentRect.height);
    }
    if (!entry.target.isConnected) { widths.unobserve(entry.target); plots.delete(entry.target); }
  }
  redraw();
});

/** What a chart tells in words, for those who do not see it. */
function inWords(title, line, words) {
  const values = line.map(([, value]) => value).filter((value) => value !== null);
  if (!values.length) return `${title}: nothing in the last 15 minutes`;
  const now = values[values.length - 1];
  return `${title}, last 15 minutes: now ${words(now)}, least ${words(Math.min(...values))}, most ${words(Math.max(...values))}`;
}
