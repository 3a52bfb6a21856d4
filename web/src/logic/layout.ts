// Where the services of a graph stand: by layers, from those that ask to those
// that answer. The same graph always looks the same.
import { Graph, layout as dagre } from '@dagrejs/dagre';
import type { GraphEdge, GraphNode } from '../api/model';
import { edgeKey } from './graph';

export interface Placed {
  nodes: Map<string, { x: number; y: number }>;
  edges: Map<string, { path: string; middle: { x: number; y: number } }>;
  width: number;
  height: number;
}

export const nodeWidth = 190;
export const nodeHeight = 54;

export function layout(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Placed {
  const g = new Graph({ multigraph: true });
  g.setGraph({ rankdir: 'LR', nodesep: 26, ranksep: 76, edgesep: 18, marginx: 24, marginy: 24 });
  // By name, so that a refresh that only changes figures moves nothing.
  for (const n of [...nodes].sort((a, b) => a.service.localeCompare(b.service))) {
    g.setNode(n.service, { width: nodeWidth, height: nodeHeight });
  }
  for (const e of [...edges].sort((a, b) => edgeKey(a).localeCompare(edgeKey(b)))) {
    g.setEdge(e.source, e.destination, { width: 90, height: 32, labelpos: 'c' }, edgeKey(e));
  }
  dagre(g);
  const placed: Placed = { nodes: new Map(), edges: new Map(), width: 0, height: 0 };
  for (const name of g.nodes()) {
    const { x = 0, y = 0 } = g.node(name) as { x?: number; y?: number };
    placed.nodes.set(name, { x, y });
  }
  for (const e of g.edges()) {
    const edge = g.edge(e) as { points?: { x: number; y: number }[]; x?: number; y?: number };
    const points = edge.points ?? [];
    const middle = { x: edge.x ?? points[0]?.x ?? 0, y: edge.y ?? points[0]?.y ?? 0 };
    placed.edges.set(e.name ?? '', { path: curve(points), middle });
  }
  const size = g.graph() as { width?: number; height?: number };
  placed.width = size.width ?? 0;
  placed.height = size.height ?? 0;
  return placed;
}

/** A smooth line through points: quadratic curves between the middles. */
export function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let d = `M${round(first.x)} ${round(first.y)}`;
  rest.forEach((p, i) => {
    const next = rest[i + 1];
    if (next) d += `Q${round(p.x)} ${round(p.y)} ${round((p.x + next.x) / 2)} ${round((p.y + next.y) / 2)}`;
    else d += `L${round(p.x)} ${round(p.y)}`;
  });
  return d;
}

const round = (n: number) => Math.round(n * 10) / 10;
