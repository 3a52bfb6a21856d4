// Ranges of time: the last so many seconds, or from one time to another.

export interface Range {
  /** Seconds. Set: the range ends now. */
  last?: number;
  /** Milliseconds since 1970, both set when last is not. */
  from?: number;
  to?: number;
}

/** A range as the API's parameters. */
export interface RangeQuery {
  last?: string;
  from?: string;
  to?: string;
}

export const presets: { seconds: number; name: string }[] = [
  { seconds: 300, name: '5m' },
  { seconds: 900, name: '15m' },
  { seconds: 3600, name: '1h' },
  { seconds: 3 * 3600, name: '3h' },
  { seconds: 12 * 3600, name: '12h' },
  { seconds: 86_400, name: '24h' },
  { seconds: 7 * 86_400, name: '7d' },
];

export const defaultRange: Range = { last: 900 };

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of "90s", "15m", "1h30m" or "2d"; undefined if it is none. */
export function parseSeconds(text: string): number | undefined {
  if (!/^(\d+[smhd])+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/(\d+)([smhd])/g)) sum += Number(n) * (units[unit ?? ''] ?? 0);
  return sum > 0 && sum <= 366 * 86_400 ? sum : undefined;
}

/** The shortest text that parseSeconds reads back. */
export function secondsText(seconds: number): string {
  let rest = Math.round(seconds);
  let out = '';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = units[unit] ?? 1;
    // 24h is how people say it; 7d too.
    if (unit === 'd' && rest < 2 * size) continue;
    if (rest >= size) {
      out += `${Math.floor(rest / size)}${unit}`;
      rest %= size;
    }
  }
  return out || '0s';
}

/** The range with times: a range that ends now ends at the time given. */
export function resolve(range: Range, now: number): { from: number; to: number } {
  const to = range.last === undefined ? (range.to ?? now) : now;
  return { from: range.last === undefined ? (range.from ?? to - 900_000) : to - range.last * 1000, to };
}

export const rangeSeconds = (range: Range): number => {
  const { from, to } = resolve(range, Date.now());
  return Math.max(1, (to - from) / 1000);
};

/** The parameters of a range; with a time it stands still as of then. */
export function rangeQuery(range: Range, frozenAt?: number): RangeQuery {
  if (range.last !== undefined && frozenAt === undefined) return { last: `${range.last}s` };
  const { from, to } = resolve(range, frozenAt ?? Date.now());
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

const steps = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400];

/** The step in seconds that gives at most so many points. */
export function stepFor(seconds: number, points = 100): number {
  return steps.find((s) => seconds / s <= points) ?? 86_400;
}

/** The range moved by a share of its length, e.g. -0.5 for half a page back. */
export function shift(range: Range, share: number, now: number): Range {
  const { from, to } = resolve(range, now);
  const by = (to - from) * share;
  return to + by >= now && range.last !== undefined ? range : clampToNow(from + by, to + by, now);
}

/** The range made longer (factor 2) or shorter (0.5) around its middle. */
export function scale(range: Range, factor: number, now: number): Range {
  if (range.last !== undefined)
    return { last: Math.min(366 * 86_400, Math.max(60, Math.round(range.last * factor))) };
  const { from, to } = resolve(range, now);
  const half = Math.max(10_000, (to - from) * factor) / 2;
  const middle = (from + to) / 2;
  return clampToNow(middle - half, middle + half, now);
}

function clampToNow(from: number, to: number, now: number): Range {
  const over = Math.max(0, to - now);
  return { from: Math.round(from - over), to: Math.round(to - over) };
}

/** "15m" or "2026-01-02T03:04:05.000Z/2026-01-02T04:04:05.000Z" for the URL. */
export function rangeText(range: Range): string {
  if (range.last !== undefined) return secondsText(range.last);
  const { from, to } = resolve(range, Date.now());
  return `${new Date(from).toISOString()}/${new Date(to).toISOString()}`;
}

/** Reads what rangeText writes; undefined if it is not a range. */
export function parseRange(text: string): Range | undefined {
  const last = parseSeconds(text);
  if (last !== undefined) return { last };
  const [from, to] = text.split('/').map((t) => Date.parse(t));
  if (from === undefined || to === undefined || !(from < to)) return undefined;
  return { from, to };
}
