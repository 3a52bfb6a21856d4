/**
 * What is selected after a click on one of many, as in a list of files: alone
 * it selects that one, with Ctrl or Command it adds or takes it away, with
 * Shift everything from the last one clicked.
 */
export function select(
  all: readonly string[],
  selected: readonly string[],
  clicked: string,
  keys: { toggle: boolean; range: boolean },
  last: string | undefined,
): string[] {
  if (keys.range && last !== undefined) {
    const [a, b] = [all.indexOf(last), all.indexOf(clicked)].sort((x, y) => x - y) as [number, number];
    if (a >= 0) return [...new Set([...(keys.toggle ? selected : []), ...all.slice(a, b + 1)])];
  }
  if (keys.toggle)
    return selected.includes(clicked) ? selected.filter((s) => s !== clicked) : [...selected, clicked];
  return [clicked];
}
