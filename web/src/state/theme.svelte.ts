export type Theme = 'dark' | 'light';

const key = 'clover.theme';
const system = window.matchMedia('(prefers-color-scheme: light)');
const stored = (): Theme | undefined => {
  try {
    const t = localStorage.getItem(key);
    return t === 'dark' || t === 'light' ? t : undefined;
  } catch {
    return undefined; // storage is forbidden
  }
};
const state = $state({ name: stored() ?? (system.matches ? 'light' : 'dark') });

function apply(name: Theme) {
  state.name = name;
  document.documentElement.dataset.theme = name;
}
apply(state.name as Theme);
system.addEventListener('change', () => {
  if (!stored()) apply(system.matches ? 'light' : 'dark');
});

export const theme = {
  get name(): Theme {
    return state.name as Theme;
  },
  toggle() {
    apply(state.name === 'dark' ? 'light' : 'dark');
    try {
      localStorage.setItem(key, state.name);
    } catch {
      // The choice holds until the page is closed.
    }
  },
};

/** Colours that charts draw with. */
export interface Palette {
  text: string;
  muted: string;
  line: string;
  panel: string;
  raised: string;
  accent: string;
  bad: string;
  warn: string;
  ok: string;
  series: string[];
  /** From few to many. */
  heat: string[];
  font: string;
}

/** The colours of the theme in force, from the style sheet. */
export function palette(): Palette {
  void state.name;
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: get('text'),
    muted: get('muted'),
    line: get('line'),
    panel: get('panel'),
    raised: get('raised'),
    accent: get('accent'),
    bad: get('bad'),
    warn: get('warn'),
    ok: get('ok'),
    series: Array.from({ length: 10 }, (_, i) => get(`s${i}`)),
    heat: Array.from({ length: 5 }, (_, i) => get(`h${i}`)),
    font: get('font'),
  };
}

// Colours go by the order in which names are seen: neighbours differ.
// Nothing is drawn anew when a name comes in.
const given: Record<string, number> = {};

/** A name's place in the series colours, the same on every view. */
export function seriesIndex(name: string): number {
  let i = given[`:${name}`];
  if (i === undefined) {
    i = Object.keys(given).length % 10;
    given[`:${name}`] = i;
  }
  return i;
}
