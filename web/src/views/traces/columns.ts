import type { TraceSummary } from '../../api/model';
import { dateTime, duration, integer, named } from '../../logic/format';
import type { Column } from '../../logic/table';

/** The columns of lists of traces. */
export function columns(traces: readonly TraceSummary[]): Column<TraceSummary>[] {
  const longest = Math.max(1e-9, ...traces.map((t) => t.duration));
  return [
    {
      key: 'name',
      title: 'Trace',
      value: (t) => `${t.rootService}: ${t.rootOperation}`,
      text: (t) => `${named(t.rootService)}: ${named(t.rootOperation)}`,
      width: '12rem',
    },
    {
      key: 'start',
      title: 'Start',
      value: (t) => new Date(t.start).toISOString(),
      text: (t) => dateTime(t.start),
    },
    { key: 'url', title: 'URL', value: (t) => t.url, text: (t) => named(t.url, ''), width: '12rem' },
    {
      key: 'status',
      title: 'Status',
      value: (t) => t.status || undefined,
      numeric: true,
      tone: (t) => (t.status >= 500 ? 'bad' : t.status >= 400 ? 'warn' : undefined),
    },
    {
      key: 'duration',
      title: 'Duration',
      value: (t) => t.duration,
      text: (t) => duration(t.duration),
      numeric: true,
      bar: (t) => t.duration / longest,
      width: '7rem',
    },
    { key: 'spans', title: 'Spans', value: (t) => t.spans, text: (t) => integer(t.spans), numeric: true },
    {
      key: 'errors',
      title: 'Errors',
      value: (t) => t.errors,
      text: (t) => (t.errors ? integer(t.errors) : ''),
      numeric: true,
      tone: (t) => (t.errors ? 'bad' : undefined),
    },
    { key: 'services', title: 'Services', value: (t) => t.services.length, numeric: true },
    { key: 'trace_id', title: 'ID', value: (t) => t.traceId, text: (t) => t.traceId.slice(0, 8) },
  ];
}
