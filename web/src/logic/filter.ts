// The filter language of the API: writing it, and completing it.

/** A value as a filter's word or string. */
export const literal = (value: string): string =>
  /^[A-Za-z0-9_.:/*-]+$/.test(value) && !/^(and|or|not|in)$/i.test(value) ? value : JSON.stringify(value);

/** FIELD = VALUE. An empty value is asked for by what it does not match. */
export const equals = (field: string, value: string): string =>
  value === '' ? `not ${field} ~ "."` : `${field} = ${literal(value)}`;

/** Both filters together. */
export function both(a: string, b: string): string {
  if (!a || !b) return a || b;
  const wrap = (f: string) => (/\bor\b|\|\|/i.test(f) ? `(${f})` : f);
  return `${wrap(a)} and ${wrap(b)}`;
}

/** Names of one service: "-" and "_" are the same, as of 2019. */
export function sameService(a: string, b: string): boolean {
  const plain = (s: string) => s.replace(/_/g, '-').toLowerCase();
  return plain(a) === plain(b);
}
