import { expect, it } from 'vitest';
import { bytes, compact, duration, percent, shorten, significant, visible } from './format';

const plain = (s: string) => s.replaceAll('\u202f', ' ');

it.each([
  [0, '0 ms'],
  [2.5e-8, '25 ns'],
  [0.00085, '850 µs'],
  [0.0123, '12.3 ms'],
  [0.9996, '1,000 ms'],
  [1.5, '1.5 s'],
  [125, '2 min 5 s'],
  [11_400, '3 h 10 min'],
  [-0.002, '-2 ms'],
])('duration %d', (n, want) => expect(plain(duration(n))).toBe(want));

it.each([
  [999, '999'],
  [9999, '9,999'],
  [12_345, '12.3k'],
  [1_234_567, '1.23M'],
  [0.1234, '0.123'],
])('compact %d', (n, want) => expect(compact(n)).toBe(want));

it('never shows a share that is there as none', () => {
  expect(plain(percent(0))).toBe('0 %');
  expect(plain(percent(0.00001))).toBe('<0.01 %');
  expect(plain(percent(0.0253))).toBe('2.53 %');
});

it('has three digits that count', () => {
  expect([significant(1234.5), significant(0.00012345), significant(NaN)]).toEqual([
    '1,235',
    '0.000123',
    'NaN',
  ]);
  expect(plain(bytes(1536))).toBe('1.5 KiB');
});

it('keeps both ends of a long text', () => {
  expect(shorten('http://clover-server1:9180/item/1234', 20)).toBe('http://clove…em/1234');
  expect(shorten('short', 20)).toBe('short');
});

it('shows what would hide or turn text', () => {
  expect(visible('a\u202eb\u0000c')).toBe('a\\u{202e}b\\u{0}c');
});
