// What people need who use a large script or little space, beyond what axe can
// tell.
import assert from 'node:assert/strict';
import { at, pageTest, views } from './kit.mjs';

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
