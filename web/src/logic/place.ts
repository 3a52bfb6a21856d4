// Where the reader is: a view with its range, filter and details, as the
// fragment of the URL. A fragment is shareable, and never sent to a server.
import { defaultRange, parseRange, rangeText, type Range } from './range';

export const views = [
  { id: 'overview', name: 'Overview', key: 'o' },
  { id: 'graph', name: 'Graph', key: 'g' },
  { id: 'traces', name: 'Traces', key: 't' },
  { id: 'latency', name: 'Latency', key: 'l' },
  { id: 'movers', name: 'Movers', key: 'm' },
  { id: 'metrics', name: 'Metrics', key: 'p' },
  { id: 'live', name: 'Live', key: 'v' },
  { id: 'data', name: 'Data', key: 'd' },
] as const;

export type View = (typeof views)[number]['id'];

export interface Place {
  view: View;
  /** What the view shows in detail, e.g. a trace's id; empty: all. */
  id: string;
  range: Range;
  filter: string;
  /** The view's own settings. */
  params: Record<string, string>;
}

const isView = (id: string): id is View => views.some((v) => v.id === id);

/** Reads a fragment such as "#/traces/4bf9?range=1h&filter=status%3D500". */
export function parsePlace(hash: string): Place {
  const [route = '', search = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  const [view = '', ...rest] = route.split('/');
  const query = new URLSearchParams(search);
  const range = parseRange(query.get('range') ?? '') ?? defaultRange;
  const filter = query.get('filter') ?? '';
  query.delete('range');
  query.delete('filter');
  return {
    view: isView(view) ? view : 'overview',
    id: rest.map(decode).join('/'),
    range,
    filter,
    params: Object.fromEntries(query),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The fragment of a place. */
export function placeHash(place: Place): string {
  const query = new URLSearchParams();
  const range = rangeText(place.range);
  if (range !== rangeText(defaultRange)) query.set('range', range);
  if (place.filter) query.set('filter', place.filter);
  for (const [name, value] of Object.entries(place.params)) if (value) query.set(name, value);
  const search = query.toString();
  const id = place.id ? `/${encodeURIComponent(place.id)}` : '';
  return `#/${place.view}${id}${search ? `?${search}` : ''}`;
}
