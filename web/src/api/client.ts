// Asking the API. The page and the API have one origin; cookies go along, and
// nothing else says who asks.
import * as decode from './decode';
import type { Question } from './questions';
import type * as m from './model';

/** An answer that is an error, or no answer (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Seconds to wait before trying again; 0: not said. */
    readonly retryAfter = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

let serverAhead = 0;

/** The server's time in milliseconds, so that a wrong clock here does no harm. */
export const serverNow = (): number => Date.now() + serverAhead;

/** Longest wait for an answer, in milliseconds. */
const patience = 30_000;

async function request(path: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
  const limit = AbortSignal.timeout(patience);
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      headers: { Accept: 'application/json', ...init.headers },
      signal: signal ? either(signal, limit) : limit,
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new ApiError(0, limit.aborted ? 'No answer within 30 s.' : 'The server cannot be reached.');
  }
  const date = Date.parse(response.headers.get('Date') ?? '');
  // The header has whole seconds: a difference of one says nothing.
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 2000) serverAhead = date - Date.now();
  if (response.ok) return response.json();
  const body: unknown = await response.json().catch(() => ({}));
  const said = (body as { message?: unknown }).message;
  throw new ApiError(
    response.status,
    typeof said === 'string' && said ? said : `The server answers ${response.status}.`,
    Number(response.headers.get('Retry-After')) || 0,
  );
}

/** AbortSignal.any, which browsers before 2024 lack. */
function either(a: AbortSignal, b: AbortSignal): AbortSignal {
  const both = new AbortController();
  for (const s of [a, b]) {
    if (s.aborted) both.abort();
    s.addEventListener('abort', () => both.abort(), { once: true });
  }
  return both.signal;
}

/** Asks a question. Errors are ApiErrors, or AbortErrors after signal. */
export async function ask<T>(question: Question<T>, signal?: AbortSignal): Promise<T> {
  return question.read(await request(question.path, {}, signal));
}

const change = (method: string, path: string, body: unknown) =>
  request(path, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

export interface ConfigChange {
  services?: string[];
  metricPrefixes?: string[];
  metricSuffixes?: string[];
  customMetrics?: string[];
}

/** Changes the configuration; lists that are given replace. */
export async function updateConfig(c: ConfigChange): Promise<m.Config> {
  const items = (list?: string[]) => (list ? { items: list } : undefined);
  return decode.configAnswer(
    await change('PATCH', 'api/v1/visibility/config', {
      services: items(c.services),
      metric_prefixes: items(c.metricPrefixes),
      metric_suffixes: items(c.metricSuffixes),
      custom_metrics: items(c.customMetrics),
    }),
  );
}

/** Removes what was collected. */
export async function clear(): Promise<m.ClearAnswer> {
  return decode.clearAnswer(await change('POST', 'api/v1/visibility/clear', {}));
}

/** Starts or stops collecting. */
export async function collect(on: boolean): Promise<void> {
  await change('POST', `api/v1/visibility/${on ? 'start' : 'stop'}`, {});
}
