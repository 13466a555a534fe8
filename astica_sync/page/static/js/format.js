// Numbers, sizes, times and dates as text.
const NUMBER = new Intl.NumberFormat("en");
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });

export const number = (value) => NUMBER.format(value ?? 0);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function shortNumber(value) {
  if (value < 10_000) return number(value);
  if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1_000_000) return `${Math.round(value / 1000)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** "98 %" of 0.98. A share that would be rounded to 0 or 100 % has as many digits as it needs: it is neither. */
export function percent(share) {
  const shown = 100 * share;
  for (let digits = 0; ; digits++) {
    const text = shown.toFixed(digits);
    // What is nearer than the error of a floating-point number is that number.
    if (!(Number(text) === 0 || Number(text) === 100) || Math.abs(shown - Number(text)) < 1e-9) return `${text} %`;
  }
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.max(seconds > 0 ? 1 : 0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  return `${hours} h ${Math.round((seconds - hours * 3600) / 60)} min`;
}

export const date = (seconds) => (seconds ? DATE.format(new Date(seconds * 1000)) : "");

export function untilText(seconds) {
  if (!seconds) return "";
  const when = new Date(seconds * 1000);
  return when.toDateString() === new Date().toDateString() ? TIME.format(when) : DATE.format(when);
}

/** Whether a push does more than to look at the service, which is one request. */
export const hasWork = (value) => (value?.requests ?? 0) > 1;

/** "14 requests, 9 s": what a push costs. */
export function price(value) {
  if (!value) return "";
  if (!hasWork(value) && value.guard) return "asks you first";
  if (!hasWork(value)) return "nothing to send";
  return `${count(value.requests, "request")}, ${duration(value.seconds)}`;
}
