// The filter language of the API: writing it, and completing it.

/** A value as a filter's word or string. */
export const literal = (value: string): string =>
  /^[A-Za-z0-9_.:/*-]+$/.test(value) && !/^(and|or|not|in)$/i.test(value) ? value : JSON.stringify(value);

/** FIELD = VALUE. An empty value is asked for by what it does not match. */
export const equals = (field: string, value: string): string =>
  value === '' ? `not ${field} ~ "."` : `${field} = ${literal(value)}`;

/** Both filters together. */
export function both(a: string, b: string): string {
  if (!a || !b) return a || b;
  const wrap = (f: string) => (/\bor\b|\|\|/i.test(f) ? `(${f})` : f);
  return `${wrap(a)} and ${wrap(b)}`;
}

/** Names of one service: "-" and "_" are the same, as of 2019. */
export function sameService(a: string, b: string): boolean {
  const plain = (s: string) => s.replace(/_/g, '-').toLowerCase();
  return plain(a) === plain(b);
}

/** Fields of the language, with what their values are like. */
export const fields: Record<string, 'text' | 'number' | 'duration' | 'bool' | 'kind'> = {
  service: 'text',
  operation: 'text',
  url: 'text',
  url_template: 'text',
  status: 'number',
  method: 'text',
  user_agent: 'text',
  upstream_cluster: 'text',
  node: 'text',
  kind: 'kind',
  source: 'text',
  destination: 'text',
  version: 'text',
  error: 'bool',
  duration: 'duration',
  mirrored: 'bool',
  namespace: 'text',
  peer: 'text',
  protocol: 'text',
  request_id: 'text',
  request_size: 'number',
  response_flags: 'text',
  response_size: 'number',
  scope: 'text',
  tag: 'text',
  trace_id: 'text',
  workload: 'text',
};

/** Fields that statistics can be grouped by, so that their values are listed. */
export const dimensions = Object.keys(fields).slice(0, 14);

/** Fields that only single spans have: traces and the live view, not statistics. */
export const spanOnly = (field: string): boolean => field in fields && !dimensions.includes(field);

interface Token {
  kind: 'word' | 'string' | 'op' | 'symbol';
  text: string;
  from: number;
  to: number;
}

const lexemes =
  /\s*(?:("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(&&|\|\||!=|<=|>=|!~|==|[=<>~!])|([()[\],])|([^\s()[\],=!<>~"'&|]+))/gy;

function tokens(text: string): Token[] {
  const out: Token[] = [];
  lexemes.lastIndex = 0;
  for (let m = lexemes.exec(text); m; m = lexemes.exec(text)) {
    const [, string, op, symbol, word] = m;
    const body = string ?? op ?? symbol ?? word ?? '';
    const kind =
      string !== undefined ? 'string' : op !== undefined ? 'op' : symbol !== undefined ? 'symbol' : 'word';
    out.push({ kind, text: body, from: lexemes.lastIndex - body.length, to: lexemes.lastIndex });
  }
  return out;
}

/** What may come at a place in a filter. */
export interface Completion {
  expects: 'field' | 'operator' | 'value' | 'connective';
  /** Field whose operator or value is expected. */
  field: string;
  /** What is written of it so far, unquoted. */
  prefix: string;
  /** The part of the text that a suggestion replaces. */
  from: number;
  to: number;
}

/** What is expected where the caret is. */
export function completionAt(text: string, caret: number): Completion {
  const before = tokens(text.slice(0, caret));
  const last = before.at(-1);
  // A word that the caret touches is still being written.
  const open =
    last && last.to === caret && (last.kind === 'word' || last.kind === 'string') ? last : undefined;
  const state = walk(open ? before.slice(0, -1) : before);
  const prefix = open ? open.text.replace(/^["']|["']$/g, '') : '';
  return { ...state, prefix, from: open?.from ?? caret, to: caret };
}

function walk(list: Token[]): Pick<Completion, 'expects' | 'field'> {
  let expects: Completion['expects'] = 'field';
  let field = '';
  let inList = false;
  for (let i = 0; i < list.length; i++) {
    const t = list[i] as Token;
    const word = t.text.toLowerCase();
    if (inList) {
      if (t.text === ')') {
        inList = false;
        expects = 'connective';
      }
    } else if (expects === 'field') {
      if (t.text === '(' || t.text === '!' || word === 'not') continue;
      field = word.replaceAll('-', '_');
      expects = 'operator';
    } else if (expects === 'operator') {
      if (t.text === '[' || t.text === ']' || t.kind === 'string' || word === 'not') continue;
      if (word === 'in') {
        inList = true;
        expects = 'value';
      } else if (t.kind === 'op') expects = 'value';
    } else if (expects === 'value') expects = 'connective';
    else if (t.text !== ')') expects = 'field'; // and, or, &&, ||
  }
  return { expects, field };
}

const ordered = ['=', '!=', '<', '<=', '>', '>=', 'in ('];
const matching = ['=', '!=', '~', '!~', 'in (', 'not in ('];

/** Suggestions that need no server; values of dimensions come from it. */
export function suggestions(c: Completion): string[] {
  const starts = (list: string[]) => list.filter((s) => s.toLowerCase().startsWith(c.prefix.toLowerCase()));
  const kind = fields[c.field];
  switch (c.expects) {
    case 'field':
      return starts([...Object.keys(fields), 'not']);
    case 'operator':
      return starts(
        kind === 'number' || kind === 'duration' ? ordered : kind === 'bool' ? ['=', '!='] : matching,
      );
    case 'connective':
      return starts(['and', 'or']);
    case 'value':
      if (kind === 'bool') return starts(['true', 'false']);
      if (kind === 'kind') return starts(['server', 'client', 'internal', 'producer', 'consumer']);
      if (kind === 'duration') return starts(['10ms', '50ms', '100ms', '250ms', '500ms', '1s', '5s']);
      return c.field === 'status' ? starts(['2xx', '3xx', '4xx', '5xx']) : [];
  }
}

/** The text with a suggestion put in, and where the caret is then. */
export function accept(text: string, c: Completion, suggestion: string): { text: string; caret: number } {
  const put = `${c.expects === 'value' ? literal(suggestion) : suggestion} `.replace(/\( $/, '(');
  const head = text.slice(0, c.from);
  const space = head && !/[\s([]$/.test(head) ? ' ' : '';
  const rest = text.slice(c.to).replace(/^\s+/, '');
  return { text: head + space + put + rest, caret: head.length + space.length + put.length };
}
