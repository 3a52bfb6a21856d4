import { describe, expect, it } from 'vitest';
import { neighbour } from './heat';

describe('the keyboard in a heatmap', () => {
  //  band 2      . . 4
  //  band 1      1 . 3
  //  band 0      0 2 .
  const cells = [
    { column: 0, band: 0 },
    { column: 0, band: 1 },
    { column: 1, band: 0 },
    { column: 2, band: 1 },
    { column: 2, band: 2 },
  ];
  it.each([
    [undefined, 'ArrowRight', 0],
    [0, 'ArrowRight', 2],
    [1, 'ArrowRight', 3],
    [2, 'ArrowRight', 3],
    [4, 'ArrowRight', 4],
    [3, 'ArrowLeft', 1],
    [0, 'ArrowUp', 1],
    [2, 'ArrowUp', 1],
    [4, 'ArrowDown', 3],
    [4, 'Home', 0],
    [0, 'End', 4],
    [0, 'a', undefined],
  ])('from %s by %s to %s', (from, key, to) => expect(neighbour(cells, from, key)).toBe(to));
  it('leads nowhere without cells', () => expect(neighbour([], undefined, 'Home')).toBeUndefined());
});
