import { describe, expect, it } from 'vitest';
import { ledgerAnswer, statusAnswer } from '../api/decode';
import { advise } from './advice';
import { commandLine, quote } from './cloverctl';
import { concerns } from './quality';
import { select } from './select';
import { begun, filled, remainder } from './series';
import { Tail } from './tail';

describe('commands', () => {
  it.each([
    ['plain', 'plain'],
    ['two words', `'two words'`],
    [`it's $(rm)`, `'it'\\''s $(rm)'`],
  ])('quotes %j', (word, want) => expect(quote(word)).toBe(want));

  it('repeats a view', () => {
    const c = {
      words: ['get', 'visibility', 'stats'],
      range: { last: 900 },
      filter: 'status >= 500',
      flags: { sort: 'p99', none: '' },
    };
    expect(commandLine(c, 'http://a:1')).toBe(
      `cloverctl --controller http://a:1 get visibility stats --since 15m --filter 'status >= 500' --sort p99`,
    );
    expect(commandLine(c, 'http://a:1', 900_000)).toContain(
      '--from 1970-01-01T00:00:00.000Z --to 1970-01-01T00:15:00.000Z',
    );
  });
});

describe('the quality of data', () => {
  const note = (code: string, detail = '') => ({ code, source: '', service: '', count: 0, detail });

  it('is silent when all is well', () => {
    const status = statusAnswer({ collecting: true, sources: [{ name: 'jaeger', state: 'ok' }] });
    expect(concerns([], status, [])).toEqual([]);
  });

  it('says what was lost and why, the worst first', () => {
    const { entries } = ledgerAnswer({
      entries: [
        { source: 'otlp', rejected: { 'no id': '2' }, dropped: {} },
        { source: 'otlp', rejected: { 'no id': '1' }, dropped: { paused: '7' } },
      ],
    });
    const list = concerns(
      [note('overflow', 'urls'), note('overflow', 'urls'), note('dropped')],
      undefined,
      entries,
    );
    expect(list.map((c) => [c.level, c.title, c.text])).toEqual([
      ['bad', '7 spans dropped', 'paused 7'],
      ['warn', '3 spans rejected', 'no id 3'],
      ['warn', 'Too many distinct values', 'urls'],
    ]);
  });

  it('names a source that is down once', () => {
    const status = statusAnswer({
      collecting: true,
      sources: [{ name: 'jaeger', state: 'down', error: 'refused' }],
    });
    expect(concerns([note('source_down', 'refused')], status, []).map((c) => c.title)).toEqual([
      'jaeger does not answer',
    ]);
  });
});

describe('advice', () => {
  const status = (o: object) => statusAnswer({ collecting: true, store: {}, sources: [], ...o });
  it.each([
    [{ collecting: false }, '', 'Collecting is stopped.'],
    [
      { sources: [{ name: 'jaeger', target: 'http://j', state: 'down' }] },
      '',
      'jaeger at http://j does not answer.',
    ],
    [
      { sources: [{ name: 'jaeger', kind: 'traces', state: 'ok' }] },
      '',
      'jaeger answers but has no spans yet.',
    ],
    [{ store: { spans: '5' } }, 'a = 1', 'Nothing matches the filter in this range.'],
    [{ store: { spans: '5' } }, '', 'No requests in this range.'],
    [{}, '', 'No spans have arrived yet.'],
  ])('for %j', (o, filter, title) => expect(advise(status(o), filter).title).toBe(title));
});

describe('selection', () => {
  const all = ['a', 'b', 'c', 'd'];
  it.each([
    [['a', 'b'], 'c', false, false, 'a', ['c']],
    [['a'], 'c', true, false, 'a', ['a', 'c']],
    [['a', 'c'], 'c', true, false, 'a', ['a']],
    [['a'], 'c', false, true, 'a', ['a', 'b', 'c']],
    [['d'], 'a', true, true, 'b', ['d', 'a', 'b']],
  ])('%j, then %s', (selected, clicked, toggle, range, last, want) => {
    expect(select(all, selected, clicked, { toggle, range }, last)).toEqual(want);
  });
});

describe('series', () => {
  const point = (time: number, rate: number) => ({ time, stats: { rate, errors: 0 } as never });
  const points = [point(10_000, 1), point(40_000, 2), point(50_000, 3)];

  it('fall to the ground where nothing was, and leave out what is not over', () => {
    const grid = { from: 0, to: 60_000, step: 10, now: 51_000 };
    const line = filled(points, grid, (p) => (p.stats as { rate: number }).rate, 0);
    expect(line).toEqual([
      [0, 0],
      [10_000, 1],
      [20_000, 0],
      [30_000, 0],
      [40_000, 2],
    ]);
  });

  it('begin a step before the first point', () => {
    expect(begun(points, { from: -90_000, to: 60_000 }, 10)).toEqual({ from: 0, to: 60_000 });
    expect(begun([], { from: 0, to: 60_000 }, 10)).toEqual({ from: 50_000, to: 60_000 });
  });

  it('leave a remainder, never below nothing', () => {
    const group = (...series: typeof points) => ({ values: [], stats: {} as never, series });
    const rest = remainder(points, [
      group(point(10_000, 0.25)),
      group(point(10_000, 0.25), point(40_000, 5)),
    ]);
    expect(rest.map((p) => p.rate)).toEqual([0.5, 0, 3]);
  });
});

describe('the tail', () => {
  it('has the newest first, and room for so many', () => {
    const t = new Tail<number>(3);
    t.add([1, 2]);
    t.add([3, 4]);
    expect([t.shown, t.arrived]).toEqual([[4, 3, 2], 4]);
  });
  it('holds still, and says what it missed', () => {
    const t = new Tail<number>(3);
    t.add([1]);
    t.hold(true);
    t.add([2, 3, 4, 5]);
    expect([t.shown, t.waiting, t.missed]).toEqual([[1], 3, 1]);
    t.hold(false);
    expect(t.shown).toEqual([5, 4, 3]);
  });
});
