import { parsePlace, placeHash, type Place } from '../logic/place';
import type { Range } from '../logic/range';

const where = $state({ place: parsePlace(location.hash) });

window.addEventListener('hashchange', () => (where.place = parsePlace(location.hash)));

/** What changes on the way to a place; what is not given stays. */
export interface Step extends Partial<Omit<Place, 'params'>> {
  params?: Record<string, string | undefined>;
}

/** Where a step leads. Another view keeps range and filter, and begins anew. */
function after(step: Step): Place {
  const now = where.place;
  const stays = step.view === undefined || step.view === now.view;
  const params: Record<string, string> = stays ? { ...now.params } : {};
  for (const [name, value] of Object.entries(step.params ?? {})) {
    if (value) params[name] = value;
    else delete params[name];
  }
  return {
    view: step.view ?? now.view,
    id: step.id ?? (stays ? now.id : ''),
    range: step.range ?? now.range,
    filter: step.filter ?? now.filter,
    params,
  };
}

/** The reader's place, which is the URL's fragment. */
export const place = {
  get view() {
    return where.place.view;
  },
  get id() {
    return where.place.id;
  },
  get range(): Range {
    return where.place.range;
  },
  get filter() {
    return where.place.filter;
  },
  param: (name: string): string => where.place.params[name] ?? '',
  /** The link to a place. */
  href: (step: Step): string => placeHash(after(step)),
  /** Goes there; details of a view leave no trace in the history. */
  go(step: Step, how: 'push' | 'replace' = 'push') {
    const next = after(step);
    const hash = placeHash(next);
    if (hash === placeHash(where.place)) return;
    if (how === 'push') history.pushState(null, '', hash);
    else history.replaceState(null, '', hash);
    where.place = next;
  },
};

window.addEventListener('popstate', () => (where.place = parsePlace(location.hash)));
