// What is said about the quality of the data, by the ledger and the sources.
import type { LedgerEntry, Note, StatusAnswer } from '../api/model';
import { duration, integer } from './format';

export interface Concern {
  level: 'bad' | 'warn' | 'info';
  title: string;
  text: string;
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);

const reasons = (entries: readonly LedgerEntry[], of: (e: LedgerEntry) => Record<string, number>): string => {
  const totals = new Map<string, number>();
  for (const e of entries)
    for (const [r, n] of Object.entries(of(e))) totals.set(r, (totals.get(r) ?? 0) + n);
  return [...totals]
    .sort((a, b) => b[1] - a[1])
    .map(([r, n]) => `${r} ${integer(n)}`)
    .join(', ');
};

/** The state of the sources that asks for attention. */
function sources(status: StatusAnswer): Concern[] {
  const out: Concern[] = [];
  if (!status.collecting) {
    out.push({
      level: 'warn',
      title: 'Collecting is stopped',
      text: 'New spans are dropped, and counted, until it is started.',
    });
  }
  for (const s of status.sources) {
    if (s.state === 'down' || s.state === 'backing_off') {
      out.push({
        level: 'bad',
        title: `${s.name} does not answer`,
        text: `${s.target}: ${s.error || s.lastError}`,
      });
    } else if (s.state === 'catching_up') {
      out.push({ level: 'info', title: `${s.name} is catching up`, text: `${duration(s.lag)} behind` });
    } else if (s.state === 'degraded') {
      out.push({ level: 'warn', title: `${s.name} answers in part`, text: s.error || s.lastError });
    }
  }
  return out;
}

/** What the ledger has lost. */
function losses(entries: readonly LedgerEntry[]): Concern[] {
  const out: Concern[] = [];
  const total = (of: (e: LedgerEntry) => number) => entries.reduce((n, e) => n + of(e), 0);
  const dropped = total((e) => sum(e.dropped));
  const rejected = total((e) => sum(e.rejected));
  const truncated = total((e) => e.truncated);
  const balance = total((e) => Math.abs(e.balance));
  if (dropped)
    out.push({
      level: 'bad',
      title: `${integer(dropped)} spans dropped`,
      text: reasons(entries, (e) => e.dropped),
    });
  if (rejected)
    out.push({
      level: 'warn',
      title: `${integer(rejected)} spans rejected`,
      text: reasons(entries, (e) => e.rejected),
    });
  if (truncated)
    out.push({
      level: 'warn',
      title: `${integer(truncated)} spans truncated`,
      text: 'known to exist, but the source did not give them out',
    });
  if (balance)
    out.push({
      level: 'bad',
      title: `${integer(balance)} spans unaccounted for`,
      text: 'the ledger does not balance',
    });
  return out;
}

const titles: Record<string, string> = {
  late: 'Late data',
  rejected: 'Rejected spans',
  truncated: 'Truncated data',
  dropped: 'Dropped spans',
  overflow: 'Too many distinct values',
  approximate: 'Approximate figures',
  source_down: 'A source does not answer',
  step_widened: 'Wider steps than asked for',
  expired: 'Older data has expired',
};

/** Everything that is worth a word, the worst first, each once. */
export function concerns(
  notes: readonly Note[],
  status: StatusAnswer | undefined,
  entries: readonly LedgerEntry[] | undefined,
): Concern[] {
  const own = [...(status ? sources(status) : []), ...losses(entries ?? [])];
  const covered = new Set<string>();
  if (entries) for (const code of ['dropped', 'rejected', 'truncated']) covered.add(code);
  if (own.some((c) => c.title.endsWith('does not answer'))) covered.add('source_down');
  for (const n of notes) {
    if (covered.has(n.code)) continue;
    const about = [n.source, n.service].filter(Boolean).join(', ');
    own.push({
      level: n.code === 'source_down' ? 'bad' : n.code === 'late' || n.code === 'overflow' ? 'warn' : 'info',
      title: titles[n.code] ?? n.code,
      text: about ? `${about}: ${n.detail}` : n.detail,
    });
  }
  const order = { bad: 0, warn: 1, info: 2 };
  const seen = new Set<string>();
  return own
    .filter((c) => !seen.has(c.title + c.text) && seen.add(c.title + c.text))
    .sort((a, b) => order[a.level] - order[b.level]);
}
