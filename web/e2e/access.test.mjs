// What people need who use no mouse, a large script or little space, beyond
// what axe can tell.
import assert from 'node:assert/strict';
import { at, eventually, pageTest, views } from './kit.mjs';

/** What has the focus: how it is seen, and whether something hides it. */
const focused = () => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const name = `${e.tagName.toLowerCase()} "${(e.getAttribute('aria-label') ?? e.textContent ?? '').trim().slice(0, 30)}"`;
  const style = getComputedStyle(e);
  const frame = e instanceof SVGGElement && e.querySelector('rect'); // a service of the graph
  const box = e.getBoundingClientRect();
  const x = Math.min(Math.max(box.x + box.width / 2, 1), innerWidth - 1);
  const y = Math.min(Math.max(box.y + box.height / 2, 1), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  window.stops ??= new Set();
  const again = window.stops.has(e);
  window.stops.add(e);
  return {
    name, again,
    seen: frame ? Number.parseFloat(getComputedStyle(frame).strokeWidth) >= 2 : style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 2,
    free: Boolean(top) && (e.contains(top) || top.contains(e)) && box.bottom > 0 && box.top < innerHeight,
  };
};

for (const view of views) {
  pageTest(`${view} by keyboard`, {}, async (page, { settled }) => {
    await page.goto('about:blank');
    await page.goto(at(view));
    await settled();
    const stops = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(focused);
      if (!stop || (stop.again && stop.name === stops[0])) break; // past the last one
      assert.ok(stop.seen, `${stop.name} does not show that it has the focus`);
      if (!stop.free) await eventually(async () => assert.ok((await page.evaluate(focused)).free, `${stop.name} has the focus and is hidden`));
      assert.ok(!stop.again, `${stop.name} has the focus twice: ${stops.slice(-5).join(', ')}`);
      stops.push(stop.name);
      assert.ok(stops.length < 400, `no end of what can be reached: ${stops.slice(-5).join(', ')}`);
    }
    assert.ok(stops.length > views.length, `only ${stops.join(', ')}`);
    await page.keyboard.press('Shift+Tab');
    assert.equal((await page.evaluate(focused))?.name, stops.at(-1), 'the way back');
    assert.deepEqual(await page.evaluate(() => document.getAnimations().filter((a) => a.effect.getTiming().duration > 1).length), 0, 'moves where motion is to be reduced');
  });
}

for (const view of views) {
  // A window of 1280 pixels, magnified four times, and text set wide apart.
  pageTest(`${view}, magnified`, { viewport: { width: 320, height: 640 } }, async (page, { settled }) => {
    await page.goto(at(view));
    await settled();
    const cut = await page.evaluate(() => {
      const wide = new CSSStyleSheet();
      wide.replaceSync('* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-bottom: 2em !important }');
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, wide];
      const texts = [...document.querySelectorAll('button, [role=tab], h1, h2, h3, label, nav a')].filter((e) => e.checkVisibility() && !e.closest('.sr-only'));
      const cut = texts.filter((e) => getComputedStyle(e).overflow !== 'visible' && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1));
      return { out: document.documentElement.scrollWidth - document.documentElement.clientWidth, texts: cut.map((e) => e.textContent.trim().slice(0, 40)) };
    });
    assert.ok(cut.out <= 0, `${cut.out} pixels stick out`);
    assert.deepEqual(cut.texts, [], 'texts that are cut');
  });
}
