import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, ask } from './client';
import { seconds, statsAnswer, time, timeNanos } from './decode';
import { path, stats, statsStream } from './questions';
import { backoff } from './stream';

describe('decoding', () => {
  it('reads times to the nanosecond', () => {
    expect(timeNanos('2026-11-26T03:50:25.517533002Z')).toBe(1795665025517533002n);
    expect(timeNanos('2026-11-26T05:50:25+02:00')).toBe(1795665025000000000n);
    expect(time('2026-11-26T03:50:25.500Z')).toBe(1795665025500);
    expect([time(null), time('soon')]).toEqual([undefined, undefined]);
    expect([seconds('0.007494359s'), seconds(undefined)]).toEqual([0.007494359, 0]);
  });

  it('makes the best of an answer that lacks fields', () => {
    const a = statsAnswer({ groups: [{ values: ['a'], stats: { count: '5' } }] });
    expect(a.groups[0]?.stats.count).toBe(5);
    expect([a.groups[0]?.series, a.completeness.complete, a.rest]).toEqual([[], true, undefined]);
    expect(statsAnswer(null).groups).toEqual([]);
  });
});

describe('questions', () => {
  it('escape and leave out what is empty', () => {
    expect(path('stats', { filter: 'a = "b&c"', limit: undefined, group_by: ['x', 'y'] })).toBe(
      'api/v1/visibility/stats?filter=a+%3D+%22b%26c%22&group_by=x&group_by=y',
    );
  });

  it('are the same by a stream', () => {
    const p = { range: { last: '900s' }, groupBy: ['service'], step: 10, limit: 5 };
    expect(stats(p).path).toContain('?range.last=900s&group_by=service&step=10s&limit=5');
    expect(statsStream(p)).toContain(
      '?query.range.last=900s&query.group_by=service&query.step=10s&query.limit=5',
    );
  });
});

describe('asking', () => {
  afterEach(() => vi.unstubAllGlobals());
  const question = { path: 'x', read: (v: unknown) => v };

  it('passes on what the server says', async () => {
    const answer = new Response('{"message":"filter: column 1"}', {
      status: 400,
      headers: { 'Retry-After': '3' },
    });
    vi.stubGlobal('fetch', () => Promise.resolve(answer));
    const err = await ask(question).catch((e: unknown) => e);
    expect(err).toBeInstanceOf(ApiError);
    expect(err).toMatchObject({ status: 400, message: 'filter: column 1', retryAfter: 3 });
  });

  it('says when there is no server, and what answers without JSON', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('x')));
    await expect(ask(question)).rejects.toMatchObject({ status: 0 });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('<html>', { status: 502 })));
    await expect(ask(question)).rejects.toMatchObject({ status: 502, message: 'The server answers 502.' });
  });
});

it('waits longer after each failure, and never too long', () => {
  expect([0, 1, 2, 3, 4, 50].map(backoff)).toEqual([1000, 2000, 4000, 8000, 15000, 15000]);
});
