import { describe, expect, it } from 'vitest';
import { graphAnswer } from '../api/decode';
import { everythingElse, neighbourhood, reduce } from './graph';
import { layout } from './layout';

const stats = (count: number) => ({ count: String(count), errors: '0', rate: count / 10, sum: `${count}s` });
const answer = (services: number) =>
  graphAnswer({
    nodes: [
      { service: 'root', stats: stats(1000) },
      ...Array.from({ length: services }, (_, i) => ({ service: `s${i}`, stats: stats(services - i) })),
    ],
    edges: Array.from({ length: services }, (_, i) => ({
      source: 'root',
      destination: `s${i}`,
      stats: stats(services - i),
      mirrored: i % 2 === 1,
    })),
  });

describe('a large graph', () => {
  const all = answer(1000);
  const small = reduce(all, { max: 50, focus: '', mirrored: true });

  it('has the busiest, and the rest as one', () => {
    expect(small.nodes).toHaveLength(51);
    expect(small.folded).toBe(951);
    expect(small.nodes.at(-1)?.service).toBe(everythingElse);
  });

  it('loses no request', () => {
    const sum = (edges: { stats: { count: number } }[]) => edges.reduce((n, e) => n + e.stats.count, 0);
    expect(sum(small.edges)).toBe(sum(all.edges));
  });

  it('keeps what is in focus', () => {
    expect(reduce(all, { max: 5, focus: 's999', mirrored: true }).nodes.map((n) => n.service)).toContain(
      's999',
    );
  });

  it('can do without mirrored requests', () => {
    expect(reduce(all, { max: 50, focus: '', mirrored: false }).edges.every((e) => !e.mirrored)).toBe(true);
  });

  it('is laid out the same each time', () => {
    const first = layout(small.nodes, small.edges);
    const again = layout([...small.nodes].reverse(), [...small.edges].reverse());
    expect([...again.nodes].sort()).toEqual([...first.nodes].sort());
  });
});

it('knows who is near', () => {
  const { edges } = answer(3);
  expect([...neighbourhood(edges, 's1')].sort()).toEqual(['root', 's1']);
});
