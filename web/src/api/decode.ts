// Decoders from the JSON of protobuf (64-bit numbers are strings, durations
// "1.5s", times RFC 3339) to the model. Fields that are missing become zeros,
// so that a page of one version works with a server of another.
import type * as m from './model';

type Json = Record<string, unknown>;

const object = (v: unknown): Json => (v !== null && typeof v === 'object' ? (v as Json) : {});
const list = (v: unknown): unknown[] => (Array.isArray(v) ? v : []);
const text = (v: unknown): string => (typeof v === 'string' ? v : '');
const number = (v: unknown): number => {
  const n = typeof v === 'string' || typeof v === 'number' ? Number(v) : 0;
  return Number.isFinite(n) ? n : 0;
};
const optional = (v: unknown): number | undefined => (v === undefined || v === null ? undefined : number(v));
const texts = (v: unknown): string[] => list(v).map(text);

/** Seconds of a duration such as "0.0025s". */
export const seconds = (v: unknown): number => {
  const n = typeof v === 'string' ? Number.parseFloat(v) : 0;
  return Number.isFinite(n) ? n : 0;
};

/** Milliseconds since 1970 of an RFC 3339 time, with fractions. */
export function time(v: unknown): number | undefined {
  if (typeof v !== 'string') return undefined;
  const nanos = timeNanos(v);
  return nanos === undefined ? undefined : Number(nanos / 1000n) / 1000;
}

/** Nanoseconds since 1970 of an RFC 3339 time. */
export function timeNanos(v: string): bigint | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(v);
  if (!parts) return undefined;
  const whole = Date.parse(`${parts[1]}${parts[3]}`);
  if (Number.isNaN(whole)) return undefined;
  return BigInt(whole) * 1_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'));
}

export function stats(v: unknown): m.Stats {
  const s = object(v);
  return {
    count: number(s.count),
    errors: number(s.errors),
    rate: number(s.rate),
    errorRate: number(s.error_rate),
    min: seconds(s.min),
    mean: seconds(s.mean),
    max: seconds(s.max),
    p50: seconds(s.p50),
    p90: seconds(s.p90),
    p95: seconds(s.p95),
    p99: seconds(s.p99),
    sum: seconds(s.sum),
    requestBytes: number(s.request_bytes),
    responseBytes: number(s.response_bytes),
  };
}

const range = (v: unknown): m.Span => ({ from: time(object(v).from) ?? 0, to: time(object(v).to) ?? 0 });

export function completeness(v: unknown): m.Completeness {
  const c = object(v);
  return {
    complete: c.complete !== false,
    watermark: time(c.watermark),
    open: number(c.open),
    notes: list(c.notes).map((n) => {
      const note = object(n);
      return {
        code: text(note.code),
        source: text(note.source),
        service: text(note.service),
        count: number(note.count),
        detail: text(note.detail),
      };
    }),
  };
}

export function statsAnswer(v: unknown): m.StatsAnswer {
  const a = object(v);
  return {
    range: range(a.range),
    step: seconds(a.step),
    groupBy: texts(a.group_by),
    groups: list(a.groups).map((g) => {
      const group = object(g);
      const series = list(group.series).map((p) => ({
        time: time(object(p).time) ?? 0,
        stats: stats(object(p).stats),
      }));
      return { values: texts(group.values), stats: stats(group.stats), series };
    }),
    total: stats(a.total),
    rest: a.rest ? stats(a.rest) : undefined,
    restGroups: number(a.rest_groups),
    completeness: completeness(a.completeness),
  };
}

export function valuesAnswer(v: unknown): m.ValuesAnswer {
  const a = object(v);
  return {
    values: list(a.values).map((x) => {
      const value = object(x);
      return { value: text(value.value), count: number(value.count), share: number(value.share) };
    }),
    restValues: number(a.rest_values),
    total: number(a.total),
    completeness: completeness(a.completeness),
  };
}

export function graphAnswer(v: unknown): m.GraphAnswer {
  const a = object(v);
  return {
    range: range(a.range),
    nodes: list(a.nodes).map((n) => ({ service: text(object(n).service), stats: stats(object(n).stats) })),
    edges: list(a.edges).map((e) => {
      const edge = object(e);
      return {
        source: text(edge.source),
        destination: text(edge.destination),
        stats: stats(edge.stats),
        mirrored: edge.mirrored === true,
      };
    }),
    completeness: completeness(a.completeness),
  };
}

export function moversAnswer(v: unknown): m.MoversAnswer {
  const a = object(v);
  return {
    base: range(a.base),
    target: range(a.target),
    movers: list(a.movers).map((x) => {
      const mover = object(x);
      return {
        values: texts(mover.values),
        base: stats(mover.base),
        target: stats(mover.target),
        change: number(mover.change),
        relativeChange: optional(mover.relative_change),
      };
    }),
    completeness: completeness(a.completeness),
  };
}

export function heatmapAnswer(v: unknown): m.HeatmapAnswer {
  const a = object(v);
  return {
    range: range(a.range),
    step: seconds(a.step),
    bands: list(a.bands).map((b) => ({ lower: seconds(object(b).lower), upper: seconds(object(b).upper) })),
    columns: list(a.columns).map((c) => ({
      time: time(object(c).time) ?? 0,
      counts: list(object(c).counts).map(number),
    })),
    total: number(a.total),
    completeness: completeness(a.completeness),
  };
}

export function traceSummary(v: unknown): m.TraceSummary {
  const t = object(v);
  return {
    traceId: text(t.trace_id),
    start: time(t.start) ?? 0,
    duration: seconds(t.duration),
    rootService: text(t.root_service),
    rootOperation: text(t.root_operation),
    url: text(t.url),
    status: number(t.status),
    services: texts(t.services),
    spans: number(t.spans),
    errors: number(t.errors),
  };
}

export function tracesAnswer(v: unknown): m.TracesAnswer {
  const a = object(v);
  return {
    traces: list(a.traces).map(traceSummary),
    nextPageToken: text(a.next_page_token),
    completeness: completeness(a.completeness),
  };
}

const attributes = (v: unknown): m.Attribute[] =>
  list(v).map((a) => ({ key: text(object(a).key), value: text(object(a).value) }));

export function traceSpan(v: unknown): m.TraceSpan {
  const s = object(v);
  return {
    traceId: text(s.trace_id),
    spanId: text(s.span_id),
    parentId: text(s.parent_id),
    kind: text(s.kind),
    service: text(s.service),
    operation: text(s.operation),
    start: time(s.start) ?? 0,
    startNanos: timeNanos(text(s.start)) ?? 0n,
    duration: seconds(s.duration),
    method: text(s.method),
    url: text(s.url),
    urlTemplate: text(s.url_template),
    status: number(s.status),
    grpcStatus: optional(s.grpc_status),
    userAgent: text(s.user_agent),
    protocol: text(s.protocol),
    upstreamCluster: text(s.upstream_cluster),
    node: text(s.node),
    peer: text(s.peer),
    requestId: text(s.request_id),
    responseFlags: text(s.response_flags),
    namespace: text(s.namespace),
    workload: text(s.workload),
    version: text(s.version),
    requestSize: optional(s.request_size),
    responseSize: optional(s.response_size),
    error: s.error === true,
    statusMessage: text(s.status_message),
    attributes: attributes(s.attributes),
    resource: attributes(s.resource),
    events: list(s.events).map((e) => ({
      time: time(object(e).time) ?? 0,
      name: text(object(e).name),
      attributes: attributes(object(e).attributes),
    })),
    scope: text(s.scope),
  };
}

export function traceAnswer(v: unknown): m.TraceAnswer {
  const a = object(v);
  return {
    summary: traceSummary(a.summary),
    spans: list(a.spans).map(traceSpan),
    completeness: completeness(a.completeness),
  };
}

const metricPoint = (v: unknown): m.MetricPoint => ({
  time: time(object(v).time) ?? 0,
  // NaN and the infinities are strings in the JSON of protobuf.
  value: Number(object(v).value ?? 0),
});

export function metricsAnswer(v: unknown): m.MetricsAnswer {
  const a = object(v);
  return {
    metrics: list(a.metrics).map((x) => {
      const metric = object(x);
      const newest = metric.newest ? metricPoint(metric.newest) : undefined;
      return { name: text(metric.name), service: text(metric.service), newest };
    }),
    missing: texts(a.missing),
    nextPageToken: text(a.next_page_token),
    completeness: completeness(a.completeness),
  };
}

export function pointsAnswer(v: unknown): m.PointsAnswer {
  const a = object(v);
  return {
    series: list(a.series).map((x) => {
      const series = object(x);
      return {
        name: text(series.name),
        service: text(series.service),
        points: list(series.points).map(metricPoint),
      };
    }),
    missing: texts(a.missing),
    completeness: completeness(a.completeness),
  };
}

const counts = (v: unknown): Record<string, number> =>
  Object.fromEntries(Object.entries(object(v)).map(([reason, n]) => [reason, number(n)]));

export function ledgerAnswer(v: unknown): m.LedgerAnswer {
  const a = object(v);
  return {
    entries: list(a.entries).map((x) => {
      const e = object(x);
      return {
        source: text(e.source),
        service: text(e.service),
        seen: number(e.seen),
        kept: number(e.kept),
        duplicate: number(e.duplicate),
        truncated: number(e.truncated),
        rejected: counts(e.rejected),
        dropped: counts(e.dropped),
        watermark: time(e.watermark),
        lastSpan: time(e.last_span),
        lastArrival: time(e.last_arrival),
        lag: seconds(e.lag),
        balance: number(e.balance),
      };
    }),
    nextPageToken: text(a.next_page_token),
    completeness: completeness(a.completeness),
  };
}

export function statusAnswer(v: unknown): m.StatusAnswer {
  const a = object(v);
  const store = object(a.store);
  const ingest = object(a.ingest);
  return {
    version: text(a.version),
    collectorId: text(a.collector_id),
    collecting: a.collecting === true,
    sources: list(a.sources).map((x) => {
      const s = object(x);
      return {
        name: text(s.name),
        kind: text(s.kind),
        target: text(s.target),
        state: text(s.state),
        error: text(s.error),
        lastError: text(s.last_error),
        lastSuccess: time(s.last_success),
        nextTry: time(s.next_try),
        lag: seconds(s.lag),
        delivered: number(s.delivered),
        kept: number(s.kept),
        failures: number(s.failures),
        missing: texts(s.missing),
      };
    }),
    store: {
      name: text(store.name),
      spans: number(store.spans),
      traces: number(store.traces),
      metrics: number(store.metrics),
      sessions: optional(store.sessions),
      rows: number(store.rows),
      bytesOnDisk: number(store.bytes_on_disk),
      oldest: time(store.oldest),
      newest: time(store.newest),
    },
    started: time(a.started),
    ingest: a.ingest
      ? {
          spans: number(ingest.spans),
          failures: number(ingest.failures),
          dropped: number(ingest.dropped),
          lastError: text(ingest.last_error),
          lastArrival: time(ingest.last_arrival),
        }
      : undefined,
    completeness: completeness(a.completeness),
  };
}

export function configAnswer(v: unknown): m.Config {
  const c = object(object(v).config);
  return {
    services: texts(c.services),
    metricPrefixes: texts(c.metric_prefixes),
    metricSuffixes: texts(c.metric_suffixes),
    customMetrics: texts(c.custom_metrics),
    sampleInterval: seconds(c.sample_interval),
    tracingUrls: texts(c.tracing_urls),
    monitoringUrl: text(c.monitoring_url),
  };
}

export function clearAnswer(v: unknown): m.ClearAnswer {
  const a = object(v);
  return {
    message: text(a.message),
    spans: number(a.spans),
    traces: number(a.traces),
    metrics: number(a.metrics),
  };
}
