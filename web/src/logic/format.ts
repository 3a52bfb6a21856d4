// Numbers and times for people. Separators and order follow the browser's
// language only for dates; figures look the same everywhere.

const thin = '\u202f';

/** 1234567 → "1,234,567". */
export const integer = (n: number): string => Math.round(n).toLocaleString('en-US');

/** 1234567 → "1.23M": for axes and tiles. */
export function compact(n: number): string {
  const abs = Math.abs(n);
  for (const [size, unit] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ] as const) {
    if (abs >= size) return `${significant(n / (unit === 'k' ? 1e3 : size))}${unit}`;
  }
  return Number.isInteger(n) ? integer(n) : significant(n);
}

/** Three significant digits without an exponent. */
export function significant(n: number, digits = 3): string {
  if (!Number.isFinite(n)) return String(n);
  if (n === 0) return '0';
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(n))));
  return Number(n.toFixed(Math.min(decimals, 12))).toLocaleString('en-US', { maximumFractionDigits: 12 });
}

/** Seconds → "850 µs", "12.3 ms", "1.5 s", "2 min 5 s", "3 h 10 min", "4 d 2 h". */
export function duration(seconds: number): string {
  const abs = Math.abs(seconds);
  if (abs === 0) return `0${thin}ms`;
  if (abs < 1e-6) return `${significant(seconds * 1e9)}${thin}ns`;
  if (abs < 1e-3) return `${significant(seconds * 1e6)}${thin}µs`;
  if (abs < 1) return `${significant(seconds * 1e3)}${thin}ms`;
  if (abs < 60) return `${significant(seconds)}${thin}s`;
  return longDuration(Math.round(seconds));
}

function longDuration(seconds: number): string {
  const sizes: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = sizes.findIndex(([size]) => Math.abs(seconds) >= size);
  let rest = Math.abs(seconds);
  const parts: string[] = [];
  for (const [size, unit] of sizes.slice(first, first + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) parts.push(`${n}${thin}${unit}`);
  }
  return (seconds < 0 ? '-' : '') + parts.join(' ');
}

/** Milliseconds with two decimals, as the classic page shows them. */
export const milliseconds = (seconds: number): string =>
  (seconds * 1000).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const rate = (perSecond: number): string => `${significant(perSecond)}/s`;

/** 0.0253 → "2.53 %". A share that is not zero never looks like zero. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0001) return `<0.01${thin}%`;
  return `${significant(share * 100)}${thin}%`;
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${significant(n)}${thin}${units[i]}`;
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0');

/** Time of day, "14:03:27". */
export function clock(ms: number, fractions = false): string {
  const d = new Date(ms);
  const text = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return fractions ? `${text}.${pad(d.getMilliseconds(), 3)}` : text;
}

/** "2026-11-26 14:03:27" in local time. */
export function dateTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(ms)}`;
}

/** A tick of a time axis that spans so many seconds. */
export function axisTime(ms: number, spanSeconds: number): string {
  const d = new Date(ms);
  if (spanSeconds > 4 * 86_400) return `${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  const hm = `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  if (spanSeconds > 86_400) return `${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${hm}`;
  return spanSeconds <= 600 ? clock(ms) : hm;
}

/** "3 s ago". */
export function ago(ms: number, now: number): string {
  const seconds = Math.max(0, (now - ms) / 1000);
  return seconds < 1 ? 'now' : `${longDuration(Math.round(seconds))} ago`;
}

/** A text cut in the middle, which keeps what tells URLs apart. */
export function shorten(text: string, width: number): string {
  const letters = Array.from(text);
  if (letters.length <= width) return text;
  const head = Math.ceil((width - 1) * 0.6);
  return `${letters.slice(0, head).join('')}…${letters.slice(letters.length - (width - 1 - head)).join('')}`;
}

const invisible = /[\p{Cc}\p{Cf}]/gu;

/**
 * Text from traffic that cannot play tricks: control characters and those that
 * change the direction of writing are shown by their code.
 */
export const visible = (text: string): string =>
  text.replace(invisible, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);

/** A name for an empty value. */
export const named = (value: string, empty = '(none)'): string => (value === '' ? empty : visible(value));
