import type { Group, Point, Stats } from '../api/model';

/**
 * The points of a series with zeros where steps are empty, so that a line
 * falls to the ground. The step that is not over yet is left out.
 */
export function filled(
  series: readonly Point[],
  o: {
    from: number;
    to: number;
    step: number;
    now: number;
    value: (s: Stats) => number;
    empty: number | null;
  },
): [number, number | null][] {
  const size = o.step * 1000;
  if (!(size > 0) || series.length === 0) return [];
  const byTime = new Map(series.map((p) => [p.time, p.stats]));
  const first = Math.max(Math.floor(o.from / size) * size, (series[0]?.time ?? o.from) - size);
  const out: [number, number | null][] = [];
  for (let t = first; t < o.to && t + size <= o.now + 1000; t += size) {
    const stats = byTime.get(t);
    out.push([t, stats ? o.value(stats) : o.empty]);
  }
  return out;
}

/** The groups that count most, and the sum of the others' counts. */
export function topGroups(groups: readonly Group[], n: number): { top: Group[]; others: Group[] } {
  return { top: groups.slice(0, n), others: groups.slice(n) };
}

/** The series of several groups as one, with the figures that add up. */
export function addSeries(
  groups: readonly Group[],
): [number, { count: number; errors: number; rate: number }][] {
  const sums = new Map<number, { count: number; errors: number; rate: number }>();
  for (const g of groups) {
    for (const p of g.series) {
      const sum = sums.get(p.time) ?? { count: 0, errors: 0, rate: 0 };
      sum.count += p.stats.count;
      sum.errors += p.stats.errors;
      sum.rate += p.stats.rate;
      sums.set(p.time, sum);
    }
  }
  return [...sums].sort((a, b) => a[0] - b[0]);
}
