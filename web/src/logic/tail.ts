/**
 * The newest items, the newest first; older ones are counted and forgotten.
 * While it is held, new items wait behind it, as many as it has room for.
 */
export class Tail<T> {
  #shown: T[] = [];
  #waiting: T[] = [];
  #held = false;
  /** Items that arrived. */
  arrived = 0;
  /** Items that there was no room for while it was held. */
  missed = 0;

  constructor(readonly room: number) {}

  add(items: readonly T[]) {
    this.arrived += items.length;
    this.#waiting.push(...items);
    if (this.#waiting.length > this.room) {
      const over = this.#waiting.length - this.room;
      this.#waiting.splice(0, over);
      if (this.#held) this.missed += over;
    }
    if (!this.#held) this.#flush();
  }

  #flush() {
    if (this.#waiting.length === 0) return;
    this.#shown = [...this.#waiting.reverse(), ...this.#shown].slice(0, this.room);
    this.#waiting = [];
  }

  hold(on: boolean) {
    this.#held = on;
    if (!on) this.#flush();
  }

  clear() {
    this.#shown = [];
    this.#waiting = [];
    this.arrived = 0;
    this.missed = 0;
  }

  get shown(): readonly T[] {
    return this.#shown;
  }

  get waiting(): number {
    return this.#waiting.length;
  }
}
