import type { Completeness, Note } from '../api/model';
import { SvelteMap } from 'svelte/reactivity';

/** What the answers on the page are based on, by question. */
const answers = new SvelteMap<string, Completeness>();

/** Notes that take nothing from an answer. */
const harmless = new Set(['range_snapped', 'begins']);

export const quality = {
  note: (path: string, c: Completeness) => answers.set(path, c),
  forget: (path: string) => answers.delete(path),
  /** What takes something from the answers on the page, each once. */
  get notes(): Note[] {
    const seen = new Map<string, Note>();
    for (const c of answers.values()) {
      for (const n of c.notes)
        if (!harmless.has(n.code)) seen.set([n.code, n.source, n.service, n.detail].join('\0'), n);
    }
    return [...seen.values()];
  },
  /** The time up to which every pulled source has been read. */
  get watermark(): number | undefined {
    const times = [...answers.values()].map((c) => c.watermark).filter((t) => t !== undefined);
    return times.length ? Math.min(...times) : undefined;
  },
};
