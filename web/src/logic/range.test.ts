import { describe, expect, it } from 'vitest';
import {
  parseRange,
  parseSeconds,
  rangeQuery,
  rangeText,
  resolve,
  scale,
  secondsText,
  shift,
  stepFor,
} from './range';

describe('durations', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['1h30m', 5400],
    ['24h', 86_400],
    ['7d', 604_800],
  ])('%s', (text, seconds) => {
    expect(parseSeconds(text)).toBe(seconds);
    expect(parseSeconds(secondsText(seconds))).toBe(seconds);
  });

  it.each(['', '0s', '15', 'm', '-5m', '5 m', '9999d'])('refuses %j', (text) => {
    expect(parseSeconds(text)).toBeUndefined();
  });

  it('writes a day as hours, as people do', () => expect(secondsText(86_400)).toBe('24h'));
});

describe('ranges', () => {
  const now = Date.parse('2026-01-02T04:00:00Z');
  const absolute = { from: now - 7_200_000, to: now - 3_600_000 };

  it('survive the URL', () => {
    for (const r of [{ last: 900 }, absolute]) expect(parseRange(rangeText(r))).toEqual(r);
  });

  it.each(['', 'x', '2026-01-01/2025-01-01', '2026-01-01'])('refuse %j', (text) => {
    expect(parseRange(text)).toBeUndefined();
  });

  it('move along, or stand still as of a time', () => {
    expect(rangeQuery({ last: 900 })).toEqual({ last: '900s' });
    expect(rangeQuery({ last: 900 }, now)).toEqual({
      from: '2026-01-02T03:45:00.000Z',
      to: '2026-01-02T04:00:00.000Z',
    });
  });

  it('go back, and forth until now', () => {
    const earlier = shift({ last: 3600 }, -0.5, now);
    expect(earlier).toEqual({ from: now - 5_400_000, to: now - 1_800_000 });
    expect(resolve(shift(earlier, 5, now), now).to).toBe(now);
    expect(shift({ last: 3600 }, 0.5, now)).toEqual({ last: 3600 });
  });

  it('grow and shrink around their middle', () => {
    expect(scale({ last: 900 }, 2, now)).toEqual({ last: 1800 });
    expect(scale(absolute, 0.5, now)).toEqual({ from: now - 6_300_000, to: now - 4_500_000 });
  });

  it('have steps of at most so many points', () => {
    for (const seconds of [300, 900, 3600, 86_400, 604_800])
      expect(seconds / stepFor(seconds)).toBeLessThanOrEqual(100);
  });
});
