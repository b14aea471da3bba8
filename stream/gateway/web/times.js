// Times as people read them, in the zone of this browser; of 24 hours, as answers tell them.

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

export const clock = (when) => (when ? CLOCK.format(new Date(when)) : "");

/** YYYY-MM-DD of this browser's day. */
export function dayOf(when) {
  const at = new Date(when);
  const two = (n) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The bounds of a local day as ISO-8601 UTC. */
export function boundsOf(day) {
  const [year, month, date] = day.split("-").map(Number);
  return [new Date(year, month - 1, date).toISOString(), new Date(year, month - 1, date + 1).toISOString()];
}

export function longDay(day) {
  const [year, month, date] = day.split("-").map(Number);
  return LONG_DAY.format(new Date(year, month - 1, date));
}

export function shortDay(day) {
  const [year, month, date] = day.split("-").map(Number);
  return DAY.format(new Date(year, month - 1, date));
}

/** Day and clock. */
export const stamp = (when) => `${shortDay(dayOf(when))} ${clock(when)}`;

export function dayBy(day, by) {
  const [year, month, date] = day.split("-").map(Number);
  return dayOf(new Date(year, month - 1, date + by));
}

/** Seconds inside a source: 1:02:03 or 2:03. */
export function position(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** When a moment was: date and clock where it is known, else the place in its file. Short: only its beginning. */
export function momentTime(item, isShort = false) {
  if (item.t0) {
    const from = clock(item.t0);
    const to = item.t1 ? clock(item.t1) : from;
    const day = dayOf(item.t0) === dayOf(Date.now()) ? "" : `${DAY.format(new Date(item.t0))}, `;
    return isShort || from === to ? `${day}${from}` : `${day}${from} – ${to}`;
  }
  if (item.t0_s === null || item.t0_s === undefined) return "time unknown";
  const to = item.t1_s ?? item.t0_s;
  const [from, until] = [position(item.t0_s), position(to)];
  return isShort || from === until ? `at ${from}` : `${from} – ${until}`;
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n ?? 0;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** The last part of an address or path. */
export function sourceName(uri) {
  if (!uri) return "";
  const [scheme, rest] = uri.includes(":") && !uri.includes("/") ? uri.split(/:(.*)/s) : ["", uri];
  if (scheme === "browser") return rest;
  return uri.replace(/\/+$/, "").split("/").at(-1) || uri;
}
