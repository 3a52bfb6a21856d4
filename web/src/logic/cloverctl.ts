// Views as commands of cloverctl, to repeat them in a terminal or a script.
import { resolve, secondsText, type Range } from './range';

/** One word of a POSIX shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`;
}

export interface Command {
  words: string[];
  range?: Range;
  filter?: string;
  /** Flags without the dashes; empty ones are left out. */
  flags?: Record<string, string | number | undefined>;
}

/** The command line. A view that stands still names its times. */
export function commandLine(c: Command, controller: string, frozenAt?: number): string {
  const words = ['cloverctl', '--controller', controller, ...c.words];
  if (c.range) {
    if (c.range.last !== undefined && frozenAt === undefined)
      words.push('--since', secondsText(c.range.last));
    else {
      const { from, to } = resolve(c.range, frozenAt ?? Date.now());
      words.push('--from', new Date(from).toISOString(), '--to', new Date(to).toISOString());
    }
  }
  if (c.filter) words.push('--filter', c.filter);
  for (const [name, value] of Object.entries(c.flags ?? {})) {
    if (value !== undefined && value !== '') words.push(`--${name}`, String(value));
  }
  return words.map(quote).join(' ');
}
