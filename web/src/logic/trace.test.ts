import { describe, expect, it } from 'vitest';
import { traceSpan } from '../api/decode';
import { buildTree, compare, criticalPath, mirrored, pathByService } from './trace';

/** A span from..to in milliseconds. */
const span = (
  id: string,
  parent: string,
  kind: string,
  service: string,
  from: number,
  to: number,
  more = {},
) =>
  traceSpan({
    trace_id: 't',
    span_id: id,
    parent_id: parent,
    kind,
    service,
    operation: `${service}/op`,
    start: new Date(1_700_000_000_000 + from).toISOString(),
    duration: `${(to - from) / 1000}s`,
    ...more,
  });

const proxied = () =>
  buildTree([
    span('1', '', 'server', 'proxy', 0, 100),
    span('2', '1', 'client', 'proxy', 10, 90),
    span('3', '2', 'server', 'lb', 20, 80),
    span('4', '3', 'client', 'lb', 30, 70),
    span('5', '1', 'client', 'proxy', 15, 99, { url: 'http://snort-ids-shadow:80/' }),
  ]);

describe('tree', () => {
  it('puts parents before children', () => {
    const tree = proxied();
    expect(tree.all.map((n) => [n.span.spanId, n.depth])).toEqual([
      ['1', 0],
      ['2', 1],
      ['3', 2],
      ['4', 3],
      ['5', 1],
    ]);
    expect(tree.duration).toBeCloseTo(0.1);
    expect(tree.all[0]?.self).toBeCloseTo(0.011);
  });

  it('joins both ends of a hop that share an id', () => {
    const tree = buildTree([
      span('1', '', 'client', 'a', 0, 10),
      span('1', '', 'server', 'b', 1, 9),
      span('2', '1', 'client', 'b', 2, 8),
    ]);
    expect(tree.all.map((n) => [n.span.service, n.span.kind, n.depth])).toEqual([
      ['a', 'client', 0],
      ['b', 'server', 1],
      ['b', 'client', 2],
    ]);
  });

  it('shows spans whose parent never came, and cycles, as roots', () => {
    expect(buildTree([span('1', '9', 'server', 'a', 0, 1)]).roots).toHaveLength(1);
    const cycle = buildTree([span('1', '2', 'internal', 'a', 0, 1), span('2', '1', 'internal', 'b', 0, 1)]);
    expect(cycle.all).toHaveLength(2);
  });

  it('of nothing is empty', () => expect(buildTree([]).all).toEqual([]));
});

describe('critical path', () => {
  it('covers the trace once, without what nobody waits for', () => {
    const tree = proxied();
    const path = criticalPath(tree);
    const total = path.reduce((sum, s) => sum + s.to - s.from, 0);
    expect(total).toBeCloseTo(tree.duration);
    expect(path.some((s) => mirrored(s.node.span))).toBe(false);
    for (let i = 1; i < path.length; i++) expect(path[i]?.from).toBeCloseTo(path[i - 1]?.to ?? 0);
    expect(pathByService(path).map((s) => [s.service, Math.round(s.seconds * 1000)])).toEqual([
      ['lb', 60],
      ['proxy', 40],
    ]);
  });

  it('takes the last of those that run beside each other', () => {
    const tree = buildTree([
      span('1', '', 'server', 'a', 0, 100),
      span('2', '1', 'client', 'b', 0, 40),
      span('3', '1', 'client', 'c', 10, 95),
    ]);
    expect(criticalPath(tree).map((s) => s.node.span.service)).toEqual(['b', 'c', 'a']);
  });
});

describe('comparison', () => {
  it('pairs the same work and shows what only one has', () => {
    const a = buildTree([span('1', '', 'server', 'x', 0, 10), span('2', '1', 'client', 'y', 1, 5)]);
    const b = buildTree([
      span('7', '', 'server', 'x', 0, 30),
      span('8', '7', 'client', 'z', 1, 5),
      span('9', '7', 'client', 'y', 6, 20),
    ]);
    expect(compare(a, b).map((p) => [p.service, !!p.a, !!p.b])).toEqual([
      ['x', true, true],
      ['y', true, true],
      ['z', false, true],
    ]);
  });
});

it.each([
  ['http://snort-ids-shadow:80/', true],
  ['http://snort-ids-shadow/', true],
  ['http://lamp-shadows/', false],
  ['http://a/x-shadow:1', false],
])('%s is mirrored: %s', (url, want) =>
  expect(mirrored(span('1', '', 'client', 'a', 0, 1, { url }))).toBe(want),
);
