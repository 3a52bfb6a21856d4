/** A cell of a heatmap by its place: columns in time, bands from fast to slow. */
export interface Cell {
  column: number;
  band: number;
}

/**
 * The cell that a key leads to from another: arrows to the nearest one in
 * their direction, Home and End to the first and the last. At an edge it stays.
 * Undefined: the key leads nowhere.
 */
export function neighbour(cells: readonly Cell[], from: number | undefined, key: string): number | undefined {
  const ahead: Record<string, (a: Cell, b: Cell) => [forward: number, aside: number]> = {
    ArrowRight: (a, b) => [b.column - a.column, b.band - a.band],
    ArrowLeft: (a, b) => [a.column - b.column, b.band - a.band],
    ArrowUp: (a, b) => [b.band - a.band, b.column - a.column],
    ArrowDown: (a, b) => [a.band - b.band, b.column - a.column],
  };
  const far = ahead[key];
  if (cells.length === 0 || (!far && key !== 'Home' && key !== 'End')) return undefined;
  const start = from === undefined ? undefined : cells[from];
  if (key === 'End') return cells.length - 1;
  if (key === 'Home' || !far || !start) return 0;
  let best = from;
  let least = Infinity;
  cells.forEach((cell, i) => {
    const [forward, aside] = far(start, cell);
    // Straight on as far as it goes, before the next one beside.
    const distance = forward + 1000 * Math.abs(aside);
    if (forward > 0 && distance < least) [best, least] = [i, distance];
  });
  return best;
}
