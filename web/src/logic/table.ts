// Tables as values: shown, sorted, and saved as CSV or JSON.

export interface Column<R> {
  key: string;
  title: string;
  /** What it is sorted by and saved as. */
  value: (row: R) => string | number | undefined;
  /** What is shown. Default: the value. */
  text?: (row: R) => string;
  /** Numbers stand right. */
  numeric?: boolean;
  /** A share from 0 to 1, drawn as a bar behind the text. */
  bar?: (row: R) => number;
  /** Why a cell asks for attention. */
  tone?: (row: R) => 'bad' | 'warn' | 'muted' | undefined;
  /** Least width, as a CSS length. */
  width?: string;
}

export interface Sort {
  key: string;
  down: boolean;
}

/** Rows in order; those without a value come last. */
export function sorted<R>(rows: readonly R[], columns: readonly Column<R>[], sort?: Sort): readonly R[] {
  const column = sort && columns.find((c) => c.key === sort.key);
  if (!column) return rows;
  const way = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const x = column.value(a);
    const y = column.value(b);
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
    if (typeof x === 'number' && typeof y === 'number') return way * (x - y);
    return way * String(x).localeCompare(String(y), 'en', { numeric: true });
  });
}

/** What a cell shows. */
export const cellText = <R>(column: Column<R>, row: R): string =>
  column.text ? column.text(row) : String(column.value(row) ?? '');

/**
 * CSV as of RFC 4180. A text that a spreadsheet would run as a formula gets an
 * apostrophe before it: URLs and user agents come from anybody.
 */
export function csv<R>(columns: readonly Column<R>[], rows: readonly R[]): string {
  const field = (v: string | number | undefined) => {
    if (v === undefined) return '';
    if (typeof v === 'number') return String(v);
    const safe = /^[=+\-@\t\r]/.test(v) ? `'${v}` : v;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  const lines = [
    columns.map((c) => field(c.title)),
    ...rows.map((r) => columns.map((c) => field(c.value(r)))),
  ];
  return lines.map((l) => l.join(',')).join('\r\n') + '\r\n';
}

/** A list of objects by the keys of the columns. */
export const json = <R>(columns: readonly Column<R>[], rows: readonly R[]): string =>
  JSON.stringify(
    rows.map((r) => Object.fromEntries(columns.map((c) => [c.key, c.value(r) ?? null]))),
    null,
    2,
  ) + '\n';

/** The rows that a virtual list draws, with a few more on both sides. */
export function visibleRows(scrollTop: number, height: number, rowHeight: number, count: number, extra = 8) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - extra);
  const last = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + extra);
  return { first: Math.min(first, Math.max(0, last)), last };
}
