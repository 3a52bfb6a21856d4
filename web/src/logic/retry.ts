/** Waits before another try, in milliseconds. */
const waits = [300, 1000, 3000];

/**
 * Loads a part of the page, and tries again when that fails: a connection that
 * breaks as the page comes up takes no part away from it. It fails with the
 * last failure.
 */
export async function persistent<T>(load: () => Promise<T>, pauses: readonly number[] = waits): Promise<T> {
  for (const pause of pauses) {
    try {
      return await load();
    } catch {
      await new Promise((done) => setTimeout(done, pause));
    }
  }
  return load();
}
