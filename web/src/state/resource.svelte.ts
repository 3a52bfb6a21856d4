import { untrack } from 'svelte';
import { ApiError, ask } from '../api/client';
import type { Question } from '../api/questions';
import type { Completeness } from '../api/model';
import { feed } from './feed.svelte';
import { quality } from './quality.svelte';

/** The answer to a question that is asked again with each refresh. */
export class Resource<T> {
  data = $state.raw<T | undefined>();
  error = $state.raw<ApiError | undefined>();
  loading = $state(false);
  /** What is shown answers an earlier question. */
  stale = $state(false);
  #path = '';
  #asking: AbortController | undefined;

  /** Asks; the same question while it is being answered is asked once. */
  async load(question: Question<T>): Promise<void> {
    if (this.#asking && this.#path === question.path) return;
    this.#asking?.abort();
    if (this.#path !== question.path) {
      this.stale = this.data !== undefined;
      quality.forget(this.#path);
    }
    this.#path = question.path;
    const asking = new AbortController();
    this.#asking = asking;
    this.loading = true;
    try {
      const brought = feed.take(question.path);
      const data = brought ? question.read(brought.json) : await ask(question, asking.signal);
      if (asking.signal.aborted) return;
      this.data = data;
      this.error = undefined;
      this.stale = false;
      const about = (data as { completeness?: Completeness } | undefined)?.completeness;
      if (about) quality.note(question.path, about);
    } catch (err) {
      if (asking.signal.aborted) return;
      this.error = err instanceof ApiError ? err : new ApiError(0, String(err));
    } finally {
      if (this.#asking === asking) {
        this.#asking = undefined;
        this.loading = false;
      }
    }
  }

  cancel() {
    this.#asking?.abort();
    this.#asking = undefined;
    quality.forget(this.#path);
  }
}

/**
 * Asks what the function returns, again when that changes and with each
 * refresh; undefined asks nothing. A slow resource is asked again only when
 * what the function reads changes. For the init of a component.
 */
export function resource<T>(
  question: () => Question<T> | undefined,
  pace: 'live' | 'slow' = 'live',
): Resource<T> {
  const r = new Resource<T>();
  $effect(() => {
    const q = question();
    if (pace === 'live') void feed.tick;
    if (q) untrack(() => void r.load(q));
  });
  $effect(() => () => r.cancel());
  return r;
}
