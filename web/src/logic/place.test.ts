import { expect, it } from 'vitest';
import { parsePlace, placeHash } from './place';

it('survives the URL, hostile text too', () => {
  const place = {
    view: 'traces' as const,
    id: 'a/b?c#d%<script>',
    range: { last: 3600 },
    filter: 'url = "http://x/?a=1&b=2#c" and user_agent ~ "<img onerror=x>"',
    params: { with: 'ü&=', errors: '1' },
  };
  expect(parsePlace(placeHash(place))).toEqual(place);
});

it.each(['', '#', '#/', '#/nowhere', '#/overview?range=soon', '#/%E0%A4%A'])(
  'makes the best of %j',
  (hash) => {
    const p = parsePlace(hash);
    expect(p.view).toBe('overview');
    expect(p.range).toEqual({ last: 900 });
  },
);
