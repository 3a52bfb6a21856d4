// A trace as a tree, its critical path, and two traces side by side.
import type { TraceSpan } from '../api/model';

export interface Node {
  span: TraceSpan;
  depth: number;
  children: Node[];
  /** Seconds since the trace's start. */
  from: number;
  to: number;
  /** Seconds in which no child was at work. */
  self: number;
}

export interface Tree {
  roots: Node[];
  /** Parents before children, as a waterfall shows them. */
  all: Node[];
  /** Seconds. */
  duration: number;
  start: number;
}

/** A copy that a proxy sends and does not wait for; Envoy names its host so. */
export const mirrored = (s: TraceSpan): boolean =>
  /^[a-z]+:\/\/[^/]*-shadow(?=[:/]|$)/.test(s.url) || /-shadow(?=[:/]|$)/.test(s.operation);

/**
 * The tree of a trace's spans. Zipkin's tracers give both ends of a hop one
 * id: the server's end is then the child of the client's, and what the hop
 * caused is below the server's.
 */
export function buildTree(spans: readonly TraceSpan[]): Tree {
  const start = spans.reduce(
    (least, s) => (s.startNanos < least ? s.startNanos : least),
    spans[0]?.startNanos ?? 0n,
  );
  const nodes = spans.map((span): Node => {
    const from = Number(span.startNanos - start) / 1e9;
    return { span, depth: 0, children: [], from, to: from + span.duration, self: 0 };
  });
  const byId = new Map<string, Node[]>();
  for (const n of nodes) byId.set(n.span.spanId, [...(byId.get(n.span.spanId) ?? []), n]);
  const parentOf = (n: Node): Node | undefined => {
    const twins = byId.get(n.span.spanId) ?? [];
    if (n.span.kind === 'server') {
      const client = twins.find((t) => t !== n && t.span.kind === 'client');
      if (client) return client;
    }
    const above = byId.get(n.span.parentId) ?? [];
    return above.find((p) => p !== n && p.span.kind === 'server') ?? above.find((p) => p !== n);
  };
  const roots: Node[] = [];
  for (const n of nodes) {
    const parent = n.span.parentId || n.span.kind === 'server' ? parentOf(n) : undefined;
    if (parent && !isBelow(parent, n)) parent.children.push(n);
    else roots.push(n);
  }
  const all: Node[] = [];
  const visit = (n: Node, depth: number) => {
    n.depth = depth;
    all.push(n);
    n.children.sort((a, b) => a.from - b.from || a.to - b.to);
    n.self = selfTime(n);
    for (const c of n.children) visit(c, depth + 1);
  };
  roots.sort((a, b) => a.from - b.from);
  for (const r of roots) visit(r, 0);
  return {
    roots,
    all,
    duration: Math.max(0, ...nodes.map((n) => n.to)),
    start: Number(start / 1000n) / 1000,
  };
}

/** Whether a node is below another already: a cycle of wrong parents. */
function isBelow(n: Node, top: Node): boolean {
  return n === top || top.children.some((c) => isBelow(n, c));
}

function selfTime(n: Node): number {
  let covered = 0;
  let end = n.from;
  for (const c of n.children) {
    const from = Math.max(c.from, end);
    const to = Math.min(c.to, n.to);
    if (to > from) covered += to - from;
    end = Math.max(end, Math.min(c.to, n.to));
  }
  return Math.max(0, n.span.duration - covered);
}

/** A stretch of time in which the trace waited for this span's own work. */
export interface Segment {
  node: Node;
  from: number;
  to: number;
}

/**
 * The critical path: walking back from the end, at each instant the span that
 * everything waited for. Making one of its stretches shorter makes the trace
 * shorter. Mirrored requests are waited for by nobody.
 */
export function criticalPath(tree: Tree): Segment[] {
  const out: Segment[] = [];
  const walk = (n: Node, until: number) => {
    let cursor = Math.min(n.to, until);
    const children = n.children.filter((c) => !mirrored(c.span)).sort((a, b) => b.to - a.to);
    for (const c of children) {
      const end = Math.min(c.to, cursor);
      if (c.from >= cursor || end <= n.from) continue;
      if (cursor > end) out.push({ node: n, from: end, to: cursor });
      walk(c, end);
      cursor = Math.max(n.from, Math.min(cursor, c.from));
    }
    if (cursor > n.from) out.push({ node: n, from: n.from, to: cursor });
  };
  const main = [...tree.roots].sort((a, b) => b.to - b.from - (a.to - a.from))[0];
  if (main) walk(main, main.to);
  return out.reverse();
}

/** Seconds of the critical path by service, the longest first. */
export function pathByService(path: readonly Segment[]): { service: string; seconds: number }[] {
  const sums = new Map<string, number>();
  for (const s of path) sums.set(s.node.span.service, (sums.get(s.node.span.service) ?? 0) + s.to - s.from);
  return [...sums].map(([service, seconds]) => ({ service, seconds })).sort((a, b) => b.seconds - a.seconds);
}

/** A row of two traces: the same work in both, or in one of them only. */
export interface Pair {
  key: string;
  depth: number;
  name: string;
  service: string;
  a?: Node;
  b?: Node;
}

/** Pairs the spans of two traces that stand at the same place in their trees. */
export function compare(a: Tree, b: Tree): Pair[] {
  const out: Pair[] = [];
  const label = (n: Node) => `${n.span.service}\n${n.span.operation}\n${n.span.kind}`;
  const walk = (as: Node[], bs: Node[], depth: number, path: string) => {
    const left = [...bs];
    const pair = (x: Node | undefined, y: Node | undefined) => {
      const n = (x ?? y) as Node;
      const key = `${path}/${out.length}`;
      out.push({ key, depth, name: n.span.operation, service: n.span.service, a: x, b: y });
      walk(x?.children ?? [], y?.children ?? [], depth + 1, key);
    };
    for (const x of as) {
      const at = left.findIndex((y) => label(y) === label(x));
      pair(x, at < 0 ? undefined : left.splice(at, 1)[0]);
    }
    for (const y of left) pair(undefined, y);
  };
  walk(a.roots, b.roots, 0, '');
  return out;
}
