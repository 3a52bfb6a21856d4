// The service graph made small enough to read, and its neighbourhoods.
import type { GraphAnswer, GraphEdge, GraphNode, Stats } from '../api/model';

export const external = '(external)';
/** Stands for the services that do not fit. Its name is none that a service has. */
export const everythingElse = '(everything else)';

export interface View {
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** Services that are drawn as one. */
  folded: number;
}

/** A key of an edge: mirrored requests are drawn apart. */
export const edgeKey = (e: GraphEdge): string => JSON.stringify([e.source, e.destination, e.mirrored]);

/** Sums what can be summed; percentiles become the largest, as an upper bound. */
export function add(a: Stats, b: Stats): Stats {
  const count = a.count + b.count;
  const errors = a.errors + b.errors;
  const sum = a.sum + b.sum;
  const most = (of: (s: Stats) => number) => Math.max(of(a), of(b));
  return {
    count,
    errors,
    rate: a.rate + b.rate,
    errorRate: count ? errors / count : 0,
    min: a.count && b.count ? Math.min(a.min, b.min) : a.count ? a.min : b.min,
    mean: count ? sum / count : 0,
    max: most((s) => s.max),
    p50: most((s) => s.p50),
    p90: most((s) => s.p90),
    p95: most((s) => s.p95),
    p99: most((s) => s.p99),
    sum,
    requestBytes: a.requestBytes + b.requestBytes,
    responseBytes: a.responseBytes + b.responseBytes,
  };
}

/**
 * The busiest services, and the one in focus with its neighbours; the others
 * become one node, so that every request is still in the picture.
 */
export function reduce(answer: GraphAnswer, o: { max: number; focus: string; mirrored: boolean }): View {
  const edges = answer.edges.filter((e) => o.mirrored || !e.mirrored);
  const named = new Map(answer.nodes.map((n) => [n.service, n]));
  const keep = new Set(o.focus ? neighbourhood(edges, o.focus) : []);
  if (o.focus && named.has(o.focus)) keep.add(o.focus);
  const traffic = (name: string) => named.get(name)?.stats.count ?? 0;
  for (const n of [...answer.nodes].sort((a, b) => traffic(b.service) - traffic(a.service))) {
    if (keep.size >= o.max) break;
    keep.add(n.service);
  }
  if (edges.some((e) => e.source === external)) keep.add(external);
  const folded = answer.nodes.filter((n) => !keep.has(n.service));
  if (folded.length === 0) return { nodes: connected(answer.nodes, edges), edges, folded: 0 };

  const place = (name: string) => (keep.has(name) ? name : everythingElse);
  const merged = new Map<string, GraphEdge>();
  for (const e of edges) {
    const edge = { ...e, source: place(e.source), destination: place(e.destination) };
    const key = edgeKey(edge);
    const known = merged.get(key);
    merged.set(key, known ? { ...known, stats: add(known.stats, edge.stats) } : edge);
  }
  const rest = folded.reduce((sum, n) => add(sum, n.stats), { ...noStats });
  const nodes = answer.nodes.filter((n) => keep.has(n.service));
  nodes.push({ service: everythingElse, stats: rest });
  return {
    nodes: connected(nodes, [...merged.values()]),
    edges: [...merged.values()],
    folded: folded.length,
  };
}

const noStats: Stats = {
  count: 0,
  errors: 0,
  rate: 0,
  errorRate: 0,
  min: 0,
  mean: 0,
  max: 0,
  p50: 0,
  p90: 0,
  p95: 0,
  p99: 0,
  sum: 0,
  requestBytes: 0,
  responseBytes: 0,
};

/** Nodes that have an edge or requests, and all that edges name. */
function connected(nodes: GraphNode[], edges: GraphEdge[]): GraphNode[] {
  const used = new Set(edges.flatMap((e) => [e.source, e.destination]));
  const out = nodes.filter((n) => used.has(n.service) || n.stats.count > 0);
  const known = new Set(out.map((n) => n.service));
  for (const service of used) if (!known.has(service)) out.push({ service, stats: noStats });
  return out;
}

/** A service with those that it asks and those that ask it. */
export function neighbourhood(edges: readonly GraphEdge[], service: string): Set<string> {
  const out = new Set([service]);
  for (const e of edges) {
    if (e.source === service) out.add(e.destination);
    if (e.destination === service) out.add(e.source);
  }
  return out;
}

/** How bad a share of errors is. */
export const health = (errorRate: number): 'ok' | 'warn' | 'bad' =>
  errorRate > 0.05 ? 'bad' : errorRate > 0.01 ? 'warn' : 'ok';
