// Server-sent events that heal by themselves. EventSource tries again too,
// but without saying when, and not after an answer such as 503.

export type StreamState = 'connecting' | 'open' | 'retrying' | 'closed';

export interface StreamHandlers {
  /** An event, decoded. */
  message: (value: unknown) => void;
  state: (state: StreamState, retryInMs?: number) => void;
}

/** Waits after failures in a row, in milliseconds. */
export function backoff(failures: number): number {
  return Math.min(15_000, 1000 * 2 ** Math.min(failures, 10));
}

/** Silence after which a stream counts as dead, in milliseconds. */
const deadAfter = 40_000;

/** Opens a stream and keeps it open until the function returned is called. */
export function openStream(path: string, on: StreamHandlers): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;

  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(fail, deadAfter);
  };
  const fail = () => {
    source?.close();
    clearTimeout(timer);
    const wait = backoff(failures++);
    on.state('retrying', wait);
    timer = setTimeout(connect, wait);
  };
  const connect = () => {
    on.state('connecting');
    source = new EventSource(path);
    watch();
    source.onopen = () => {
      on.state('open');
      watch();
    };
    source.onerror = fail;
    source.onmessage = (event: MessageEvent<string>) => {
      const value = parse(event.data);
      if (value?.error) return fail(); // the server ends the stream
      failures = 0;
      watch();
      if (value?.result !== undefined) on.message(value.result);
    };
  };
  connect();
  return () => {
    clearTimeout(timer);
    source?.close();
    on.state('closed');
  };
}

function parse(data: string): { result?: unknown; error?: unknown } | undefined {
  try {
    return JSON.parse(data) as { result?: unknown; error?: unknown };
  } catch {
    return undefined;
  }
}
