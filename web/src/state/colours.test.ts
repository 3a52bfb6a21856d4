import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync('src/app.css', 'utf8');

/** The colours of a theme by their names. */
function colours(theme: string): Record<string, string> {
  const block = new RegExp(`data-theme='${theme}'\\] \\{([^}]*)`).exec(css)?.[1] ?? '';
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map((m) => [m[1], m[2]]));
}

/** Relative luminance, as WCAG defines it. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const contrast = (a: string, b: string) => {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};

describe.each(['dark', 'light'])('%s', (theme) => {
  const all = colours(theme);
  const drawn = Object.keys(all).filter((n) => /^([sh]\d|accent|bad|warn|ok|strong-line)$/.test(n));
  it('has the colours of lines, cells and states', () => expect(drawn).toHaveLength(20));
  it.each(drawn)('%s stands out from the panel', (name) => {
    expect(contrast(all[name] ?? '', all.panel ?? '')).toBeGreaterThanOrEqual(3);
  });
});
