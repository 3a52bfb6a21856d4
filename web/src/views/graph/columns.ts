import type { GraphAnswer, GraphEdge } from '../../api/model';
import { integer, milliseconds, percent, significant } from '../../logic/format';
import { health } from '../../logic/graph';
import type { Column } from '../../logic/table';

/** The table behind the graph. */
export function columns(answer: GraphAnswer | undefined): Column<GraphEdge>[] {
  const most = Math.max(1e-9, ...(answer?.edges ?? []).map((e) => e.stats.rate));
  return [
    { key: 'source', title: 'From', value: (e) => e.source, width: '9rem' },
    { key: 'destination', title: 'To', value: (e) => e.destination, width: '9rem' },
    { key: 'mirrored', title: 'Kind', value: (e) => (e.mirrored ? 'mirrored' : 'request') },
    {
      key: 'count',
      title: 'Requests',
      value: (e) => e.stats.count,
      text: (e) => integer(e.stats.count),
      numeric: true,
    },
    {
      key: 'rate',
      title: 'Rate (/s)',
      value: (e) => e.stats.rate,
      text: (e) => significant(e.stats.rate),
      numeric: true,
      bar: (e) => e.stats.rate / most,
    },
    {
      key: 'error_rate',
      title: 'Errors',
      value: (e) => e.stats.errorRate,
      text: (e) => percent(e.stats.errorRate),
      numeric: true,
      tone: (e) =>
        health(e.stats.errorRate) === 'ok' ? undefined : (health(e.stats.errorRate) as 'warn' | 'bad'),
    },
    {
      key: 'mean',
      title: 'Avg (ms)',
      value: (e) => e.stats.mean * 1000,
      text: (e) => milliseconds(e.stats.mean),
      numeric: true,
    },
    {
      key: 'p95',
      title: 'p95 (ms)',
      value: (e) => e.stats.p95 * 1000,
      text: (e) => milliseconds(e.stats.p95),
      numeric: true,
    },
    {
      key: 'p99',
      title: 'p99 (ms)',
      value: (e) => e.stats.p99 * 1000,
      text: (e) => milliseconds(e.stats.p99),
      numeric: true,
    },
  ];
}
