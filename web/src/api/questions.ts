// Questions are values: what to ask, and how to read the answer. Asking is
// the client's job.
import * as decode from './decode';
import type { RangeQuery } from '../logic/range';
import type * as m from './model';

/** A question to the API by GET. Two with the same path are the same. */
export interface Question<T> {
  path: string;
  read: (json: unknown) => T;
}

type Param = string | number | boolean | undefined | string[];

const root = 'api/v1/visibility/';

/** Makes a path with a query; parameters that are empty are left out. */
export function path(route: string, params: Record<string, Param>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || value === '') continue;
    for (const v of Array.isArray(value) ? value : [value]) query.append(name, String(v));
  }
  const search = query.toString();
  return root + route + (search ? `?${search}` : '');
}

const duration = (seconds?: number) => (seconds === undefined ? undefined : `${seconds}s`);

export interface Scope {
  range: RangeQuery;
  filter?: string;
}

export interface StatsParams extends Scope {
  groupBy?: string[];
  /** Seconds. */
  step?: number;
  orderBy?: string;
  limit?: number;
}

const statsParams = (p: StatsParams, prefix = '') => ({
  ...rangeParams(p.range, `${prefix}range`),
  [`${prefix}filter`]: p.filter,
  [`${prefix}group_by`]: p.groupBy,
  [`${prefix}step`]: duration(p.step),
  [`${prefix}order_by`]: p.orderBy,
  [`${prefix}limit`]: p.limit,
});

function rangeParams(r: RangeQuery, name = 'range'): Record<string, Param> {
  return { [`${name}.last`]: r.last, [`${name}.from`]: r.from, [`${name}.to`]: r.to };
}

export const stats = (p: StatsParams): Question<m.StatsAnswer> => ({
  path: path('stats', statsParams(p)),
  read: decode.statsAnswer,
});

/** The path of the stream that answers a stats question every 5 s. */
export const statsStream = (p: StatsParams): string => path('stats/watch', statsParams(p, 'query.'));

export const values = (
  dimension: string,
  p: Scope & { prefix?: string; limit?: number },
): Question<m.ValuesAnswer> => ({
  path: path(`values/${dimension}`, {
    ...rangeParams(p.range),
    filter: p.filter,
    prefix: p.prefix,
    limit: p.limit,
  }),
  read: decode.valuesAnswer,
});

export const graph = (p: Scope): Question<m.GraphAnswer> => ({
  path: path('graph', { ...rangeParams(p.range), filter: p.filter }),
  read: decode.graphAnswer,
});

export const movers = (p: {
  base?: RangeQuery;
  target: RangeQuery;
  filter?: string;
  groupBy: string[];
  by: string;
  limit: number;
}): Question<m.MoversAnswer> => ({
  path: path('movers', {
    ...(p.base ? rangeParams(p.base, 'base') : {}),
    ...rangeParams(p.target, 'target'),
    group_by: p.groupBy,
    filter: p.filter,
    by: p.by,
    limit: p.limit,
  }),
  read: decode.moversAnswer,
});

export const heatmap = (p: Scope & { step?: number; maxBands?: number }): Question<m.HeatmapAnswer> => ({
  path: path('heatmap', {
    ...rangeParams(p.range),
    filter: p.filter,
    step: duration(p.step),
    max_bands: p.maxBands,
  }),
  read: decode.heatmapAnswer,
});

export const traces = (
  p: Scope & { service?: string; minDuration?: number; pageSize?: number; pageToken?: string },
): Question<m.TracesAnswer> => ({
  path: path('traces', {
    ...rangeParams(p.range),
    filter: p.filter,
    service: p.service,
    min_duration: p.minDuration ? `${p.minDuration}s` : undefined,
    page_size: p.pageSize,
    page_token: p.pageToken,
  }),
  read: decode.tracesAnswer,
});

export const trace = (id: string): Question<m.TraceAnswer> => ({
  path: path(`traces/${encodeURIComponent(id)}`, {}),
  read: decode.traceAnswer,
});

export const metrics = (p: { pageToken?: string } = {}): Question<m.MetricsAnswer> => ({
  path: path('metrics', { page_size: 1000, page_token: p.pageToken }),
  read: decode.metricsAnswer,
});

export const points = (p: {
  range?: RangeQuery;
  name?: string;
  service?: string;
  limit?: number;
}): Question<m.PointsAnswer> => ({
  path: path('metrics/points', {
    ...(p.range ? rangeParams(p.range) : {}),
    name: p.name,
    service: p.service,
    limit: p.limit,
  }),
  read: decode.pointsAnswer,
});

export const ledger = (): Question<m.LedgerAnswer> => ({
  path: path('ledger', { page_size: 1000 }),
  read: decode.ledgerAnswer,
});

export const status = (): Question<m.StatusAnswer> => ({
  path: path('status', {}),
  read: decode.statusAnswer,
});

export const config = (): Question<m.Config> => ({ path: path('config', {}), read: decode.configAnswer });

/** The path of the stream of spans as they arrive. */
export const spanStream = (filter: string): string => path('spans', { filter });
