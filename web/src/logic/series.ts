import type { Group, Point } from '../api/model';

export interface Grid {
  /** Milliseconds. */
  from: number;
  to: number;
  /** Seconds. */
  step: number;
  now: number;
}

/**
 * The points of a series at every step of a grid, empty steps as given: zero
 * for counts, so that a line falls to the ground; null for a gap. The step
 * that is not over yet is left out.
 */
export function filled<P extends { time: number }>(
  series: readonly P[],
  grid: Grid,
  value: (p: P) => number,
  empty: number | null,
): [number, number | null][] {
  const size = grid.step * 1000;
  if (!(size > 0) || series.length === 0) return [];
  const byTime = new Map(series.map((p) => [p.time, p]));
  const out: [number, number | null][] = [];
  for (let t = Math.floor(grid.from / size) * size; t < grid.to && t + size <= grid.now + 1000; t += size) {
    const point = byTime.get(t);
    out.push([t, point ? value(point) : empty]);
  }
  return out;
}

/** The part of a range that has points, and the step before it. */
export function begun(
  series: readonly { time: number }[],
  range: { from: number; to: number },
  step: number,
) {
  const first = series.reduce((least, p) => Math.min(least, p.time), Infinity);
  return { from: Math.max(range.from, Math.min(first, range.to) - step * 1000), to: range.to };
}

/** Requests of a step. */
export interface Flow {
  time: number;
  rate: number;
  errors: number;
}

/** What is left of the total when some groups are taken away. */
export function remainder(total: readonly Point[], groups: readonly Group[]): Flow[] {
  const taken = new Map<number, { rate: number; errors: number }>();
  for (const g of groups) {
    for (const p of g.series) {
      const sum = taken.get(p.time) ?? { rate: 0, errors: 0 };
      taken.set(p.time, { rate: sum.rate + p.stats.rate, errors: sum.errors + p.stats.errors });
    }
  }
  return total.map((p) => {
    const t = taken.get(p.time) ?? { rate: 0, errors: 0 };
    // Two answers are a moment apart: what is left is never below nothing.
    return {
      time: p.time,
      rate: Math.max(0, p.stats.rate - t.rate),
      errors: Math.max(0, p.stats.errors - t.errors),
    };
  });
}
