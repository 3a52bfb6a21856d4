import { describe, expect, it } from 'vitest';
import { csv, json, sorted, visibleRows, type Column } from './table';

interface Row {
  name: string;
  n?: number;
}
const columns: Column<Row>[] = [
  { key: 'name', title: 'Name', value: (r) => r.name },
  { key: 'n', title: 'N', value: (r) => r.n, text: (r) => `${r.n} things` },
];
const rows: Row[] = [{ name: 'b10', n: 2 }, { name: 'b9' }, { name: 'a', n: 10 }];

describe('sorting', () => {
  const names = (key: string, down: boolean) => sorted(rows, columns, { key, down }).map((r) => r.name);
  it('by numbers, rows without one last', () => {
    expect(names('n', true)).toEqual(['a', 'b10', 'b9']);
    expect(names('n', false)).toEqual(['b10', 'a', 'b9']);
  });
  it('by names as people count', () => expect(names('name', false)).toEqual(['a', 'b9', 'b10']));
});

describe('saving', () => {
  it('quotes, and defuses formulas', () => {
    const hostile = [
      { name: '=HYPERLINK("http://x")', n: 1 },
      { name: 'a,"b"\nc' },
      { name: '@x' },
      { name: '-1' },
    ];
    expect(csv(columns, hostile)).toBe(
      'Name,N\r\n"\'=HYPERLINK(""http://x"")",1\r\n"a,""b""\nc",\r\n\'@x,\r\n\'-1,\r\n',
    );
  });
  it('has the values, not the texts', () => {
    expect(JSON.parse(json(columns, rows))[1]).toEqual({ name: 'b9', n: null });
  });
});

describe('virtual rows', () => {
  it.each([
    [0, 100, 10, 1000, 0, 18],
    [500, 100, 10, 1000, 42, 68],
    [9990, 100, 10, 1000, 991, 1000],
    [0, 0, 10, 0, 0, 0],
    [5000, 100, 10, 3, 3, 3],
  ])('from %i', (top, height, row, count, first, last) => {
    expect(visibleRows(top, height, row, count)).toEqual({ first, last });
  });
});
