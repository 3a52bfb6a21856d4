import { describe, expect, it } from 'vitest';
import { persistent } from './retry';

describe('persistent', () => {
  const failing = (failures: number) => {
    let calls = 0;
    const load = () =>
      ++calls > failures ? Promise.resolve(calls) : Promise.reject(new Error(`failure ${calls}`));
    return load;
  };
  it('loads once what loads', async () => {
    expect(await persistent(failing(0))).toBe(1);
  });
  it('tries again', async () => {
    expect(await persistent(failing(2), [0, 0])).toBe(3);
  });
  it('fails with the last failure', async () => {
    await expect(persistent(failing(9), [0, 0])).rejects.toThrow('failure 3');
  });
});
