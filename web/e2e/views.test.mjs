// Each view in both themes and on a telephone: axe finds nothing, nothing
// sticks out, and a picture is taken.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { api, at, pageTest, pictures, views } from './kit.mjs';

const require = createRequire(join(process.env.CLOVER_MODULES, 'x.js'));
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const rules = {
  dark: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  light: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
};

/** What axe finds, one line for each kind of fault; themes differ in colours only. */
async function faults(page, theme) {
  // evaluate is not held back by the page's policy, a script element would be.
  await page.evaluate(axe);
  const { violations } = await page.evaluate((only) => window.axe.run(document, { runOnly: only, resultTypes: ['violations'] }), rules[theme]);
  return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 200)} ${n.failureSummary ?? ''}`).join(' | ')}`);
}

/** Views with what they show in detail. */
const places = async () => {
  const { traces } = await api('traces', { 'range.last': '3600s', filter: 'service = "http-lb"', page_size: 5 });
  const largest = traces.toSorted((a, b) => b.spans - a.spans)[0];
  return { ...Object.fromEntries(views.map((v) => [v, at(v)])), trace: at(`traces/${largest.trace_id}`) };
};

for (const colorScheme of ['dark', 'light']) {
  for (const view of [...views, 'trace']) {
    pageTest(`${view}, ${colorScheme}`, { colorScheme }, async (page, { settled }) => {
      await page.goto((await places())[view]);
      await settled();
      await page.waitForTimeout(300); // charts are drawn in the next frames
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
      if (pictures) await page.screenshot({ path: join(pictures, `${view}-${colorScheme}.png`) });
      assert.deepEqual(await faults(page, colorScheme), []);
    });
  }
}

for (const view of [...views, 'trace']) {
  pageTest(`${view} on a telephone`, { viewport: { width: 360, height: 740 }, hasTouch: true }, async (page, { settled }) => {
    await page.goto((await places())[view]);
    await settled();
    const sticksOut = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(sticksOut <= 0, `${sticksOut} pixels stick out`);
    if (pictures && view === 'overview') await page.screenshot({ path: join(pictures, 'telephone.png') });
  });
}
