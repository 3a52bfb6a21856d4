import type { Completeness, Note } from '../api/model';
import { SvelteMap } from 'svelte/reactivity';

/** What the answers on the page are based on, by question. */
const answers = new SvelteMap<string, Completeness>();

/** Notes that take nothing from an answer. */
const harmless = new Set(['range_snapped', 'begins']);

export const quality = {
  note: (path: string, c: Completeness) => answers.set(path, c),
  forget: (path: string) => answers.delete(path),
  /** What takes something from the answers on the page. */
  get notes(): Note[] {
    return [...answers.values()].flatMap((c) => c.notes.filter((n) => !harmless.has(n.code)));
  },
  /** The time up to which every pulled source has been read. */
  get watermark(): number | undefined {
    const times = [...answers.values()].map((c) => c.watermark).filter((t) => t !== undefined);
    return times.length ? Math.min(...times) : undefined;
  },
};
