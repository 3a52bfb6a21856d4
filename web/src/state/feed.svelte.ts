// What makes the page move: a stream of server-sent events. Each event brings
// the answer to the question of the view in front, and makes the others ask
// theirs. Off freezes the page on a snapshot, whatever view comes in front.
import { serverNow } from '../api/client';
import { stats, statsStream, type StatsParams } from '../api/questions';
import { openStream, type StreamState } from '../api/stream';

/** How often a stream's answers come, and a page asks that has none, in ms. */
export const interval = 5000;

const state = $state({
  live: true,
  frozenAt: undefined as number | undefined,
  tick: 0,
  updated: 0,
  stream: 'closed' as StreamState,
  retryAt: 0,
});

/** An answer that the stream has just brought, by its question's path. */
let brought: { path: string; json: unknown } | undefined;
let close: (() => void) | undefined;
let watched = '';
let poll: ReturnType<typeof setInterval> | undefined;
let params: StatsParams | undefined;

function advance() {
  state.tick++;
  state.updated = serverNow();
}

function open() {
  if (!params || !state.live || document.hidden) return;
  const path = statsStream(params);
  if (close && path === watched) return;
  stop();
  watched = path;
  const question = stats(params);
  close = openStream(path, {
    message(value) {
      brought = { path: question.path, json: (value as { stats?: unknown }).stats };
      clearInterval(poll);
      poll = undefined;
      advance();
    },
    state(s, retryInMs) {
      state.stream = s;
      state.retryAt = retryInMs === undefined ? 0 : Date.now() + retryInMs;
      // While the stream is away, ask: a proxy may keep streams out.
      if (s === 'retrying') poll ??= setInterval(advance, interval);
    },
  });
}

function stop() {
  close?.();
  close = undefined;
  clearInterval(poll);
  poll = undefined;
}

document.addEventListener('visibilitychange', () => (document.hidden ? stop() : open()));

export const feed = {
  get live() {
    return state.live;
  },
  /** The time the page stands still at; undefined: it moves. */
  get frozenAt() {
    return state.frozenAt;
  },
  /** Changes with each refresh. */
  get tick() {
    return state.tick;
  },
  /** When the page was last refreshed, in the server's time; 0: never. */
  get updated() {
    return state.updated;
  },
  get stream() {
    return state.stream;
  },
  /** When a lost stream is tried again, 0: it is not lost. */
  get retryAt() {
    return state.retryAt;
  },
  /** Says what the view in front shows. */
  watch(p: StatsParams) {
    params = p;
    open();
  },
  set(live: boolean) {
    if (live === state.live) return;
    state.live = live;
    state.frozenAt = live ? undefined : serverNow();
    if (live) open();
    else stop();
  },
  /** Refreshes once, also when the page stands still. */
  refresh() {
    if (!state.live) state.frozenAt = serverNow();
    advance();
  },
  /** The answer to a question if the stream has just brought it. */
  take(path: string): { json: unknown } | undefined {
    const found = brought?.path === path ? brought : undefined;
    if (found) brought = undefined;
    return found;
  },
};
