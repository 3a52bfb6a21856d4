// What the API's answers mean: numbers are numbers, durations are seconds,
// times are milliseconds since 1970.

/** Figures of a set of requests or spans. Durations are seconds. */
export interface Stats {
  count: number;
  errors: number;
  /** Requests a second. */
  rate: number;
  /** 0 to 1. */
  errorRate: number;
  min: number;
  mean: number;
  max: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  sum: number;
  requestBytes: number;
  responseBytes: number;
}

/** A range of time as answered, in milliseconds. */
export interface Span {
  from: number;
  to: number;
}

/** Why an answer is not complete. */
export interface Note {
  code: string;
  source: string;
  service: string;
  count: number;
  detail: string;
}

export interface Completeness {
  complete: boolean;
  /** Milliseconds; undefined: no pulled source. */
  watermark?: number;
  open: number;
  notes: Note[];
}

export interface Point {
  time: number;
  stats: Stats;
}

export interface Group {
  values: string[];
  stats: Stats;
  series: Point[];
}

export interface StatsAnswer {
  range: Span;
  /** Seconds between points; 0: no series. */
  step: number;
  groupBy: string[];
  groups: Group[];
  total: Stats;
  rest?: Stats;
  restGroups: number;
  completeness: Completeness;
}

export interface ValueCount {
  value: string;
  count: number;
  share: number;
}

export interface ValuesAnswer {
  values: ValueCount[];
  restValues: number;
  total: number;
  completeness: Completeness;
}

export interface GraphNode {
  service: string;
  stats: Stats;
}

export interface GraphEdge {
  source: string;
  destination: string;
  stats: Stats;
  mirrored: boolean;
}

export interface GraphAnswer {
  range: Span;
  nodes: GraphNode[];
  edges: GraphEdge[];
  completeness: Completeness;
}

export interface Mover {
  values: string[];
  base: Stats;
  target: Stats;
  change: number;
  relativeChange?: number;
}

export interface MoversAnswer {
  base: Span;
  target: Span;
  movers: Mover[];
  completeness: Completeness;
}

export interface HeatmapAnswer {
  range: Span;
  step: number;
  bands: { lower: number; upper: number }[];
  columns: { time: number; counts: number[] }[];
  total: number;
  completeness: Completeness;
}

export interface TraceSummary {
  traceId: string;
  start: number;
  duration: number;
  rootService: string;
  rootOperation: string;
  url: string;
  status: number;
  services: string[];
  spans: number;
  errors: number;
}

export interface TracesAnswer {
  traces: TraceSummary[];
  nextPageToken: string;
  completeness: Completeness;
}

export interface Attribute {
  key: string;
  value: string;
}

export interface TraceSpan {
  traceId: string;
  spanId: string;
  parentId: string;
  kind: string;
  service: string;
  operation: string;
  /** Milliseconds with fractions. */
  start: number;
  /** Nanoseconds since the start of the trace's first span would lose nothing. */
  startNanos: bigint;
  /** Seconds. */
  duration: number;
  method: string;
  url: string;
  urlTemplate: string;
  status: number;
  grpcStatus?: number;
  userAgent: string;
  protocol: string;
  upstreamCluster: string;
  node: string;
  peer: string;
  requestId: string;
  responseFlags: string;
  namespace: string;
  workload: string;
  version: string;
  requestSize?: number;
  responseSize?: number;
  error: boolean;
  statusMessage: string;
  attributes: Attribute[];
  resource: Attribute[];
  events: { time: number; name: string; attributes: Attribute[] }[];
  scope: string;
}

export interface TraceAnswer {
  summary: TraceSummary;
  spans: TraceSpan[];
  completeness: Completeness;
}

export interface MetricPoint {
  time: number;
  value: number;
}

export interface Metric {
  name: string;
  service: string;
  newest?: MetricPoint;
}

export interface MetricsAnswer {
  metrics: Metric[];
  missing: string[];
  nextPageToken: string;
  completeness: Completeness;
}

export interface MetricSeries {
  name: string;
  service: string;
  points: MetricPoint[];
}

export interface PointsAnswer {
  series: MetricSeries[];
  missing: string[];
  completeness: Completeness;
}

export interface LedgerEntry {
  source: string;
  service: string;
  seen: number;
  kept: number;
  duplicate: number;
  truncated: number;
  rejected: Record<string, number>;
  dropped: Record<string, number>;
  watermark?: number;
  lastSpan?: number;
  lastArrival?: number;
  /** Seconds. */
  lag: number;
  balance: number;
}

export interface LedgerAnswer {
  entries: LedgerEntry[];
  nextPageToken: string;
  completeness: Completeness;
}

export interface SourceStatus {
  name: string;
  kind: string;
  target: string;
  state: string;
  error: string;
  lastError: string;
  lastSuccess?: number;
  nextTry?: number;
  lag: number;
  delivered: number;
  kept: number;
  failures: number;
  missing: string[];
}

export interface StatusAnswer {
  version: string;
  collectorId: string;
  collecting: boolean;
  sources: SourceStatus[];
  store: {
    name: string;
    spans: number;
    traces: number;
    metrics: number;
    /** Undefined: the server does not count them. */
    sessions?: number;
    rows: number;
    bytesOnDisk: number;
    oldest?: number;
    newest?: number;
  };
  started?: number;
  ingest?: { spans: number; failures: number; dropped: number; lastError: string; lastArrival?: number };
  completeness: Completeness;
}

export interface Config {
  services: string[];
  metricPrefixes: string[];
  metricSuffixes: string[];
  customMetrics: string[];
  /** Seconds. */
  sampleInterval: number;
  tracingUrls: string[];
  monitoringUrl: string;
}

export interface ClearAnswer {
  message: string;
  spans: number;
  traces: number;
  metrics: number;
}
