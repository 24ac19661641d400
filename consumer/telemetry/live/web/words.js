/** Numbers and times as a person reads them; the same words as in the sentence of the state. */
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NONE = "–";

function count(number) {
  return whole.format(number);
}

function several(number, one, many = one + "s") {
  return `${count(number)} ${number === 1 ? one : many}`;
}

function rate(number) {
  if (number === null || number === undefined) return NONE;
  if (number > 0 && number < 0.05) return "<0.1";
  return number < 9.95 ? number.toFixed(1).replace(/\.0$/, "") : count(number);
}

/** A time as [number, unit]. */
function time(seconds) {
  if (seconds === null || seconds === undefined) return [NONE, ""];
  if (seconds < 0.0095) return [(seconds * 1000).toFixed(1), "ms"];
  if (seconds < 0.9995) return [String(Math.round(seconds * 1000)), "ms"];
  if (seconds < 9.95) return [seconds.toFixed(1), "s"];
  if (seconds < 119.5) return [String(Math.round(seconds)), "s"];
  if (seconds < 7170) return [String(Math.round(seconds / 60)), "min"];
  return [(seconds / 3600).toFixed(1), "h"];
}

function duration(seconds) {
  return time(seconds).join(" ").trim();
}

function share(part) {
  if (part === null || part === undefined) return NONE;
  const percent = part * 100;
  if (percent > 0 && percent < 0.05) return "<0.1 %";
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

function bytes(number) {
  for (const unit of ["bytes", "kB", "MB"]) {
    if (number < 1000) return `${number < 10 && unit !== "bytes" ? number.toFixed(1) : Math.round(number)} ${unit}`;
    number /= 1000;
  }
  return `${number.toFixed(1)} GB`;
}

function ago(seconds) {
  return seconds < 2.5 ? "now" : `${duration(seconds)} ago`;
}

function clockTime(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}
