// How quick the page is, by Chromium's own trace. The bounds hold on a machine
// that is busy with other tests; with CLOVER_STRICT=1 they are those that people
// notice, for a machine that does nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { at, pageTest, visit } from './kit.mjs';

const [figuresLimit, taskLimit] = process.env.CLOVER_STRICT ? [1000, 100] : [60_000, 10_000];

/** Loads a page under Chromium's tracing and returns what the trace says. */
async function traced(page, act) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ['devtools.timeline', 'loading', 'blink.user_timing', 'toplevel'] });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  return traceEvents;
}

pageTest('the first view comes at once', {}, async (page, { settled }) => {
  await page.goto(at('overview')); // the server has compressed its files
  await settled();
  const fresh = await visit();
  try {
    let figures = 0;
    const events = await traced(fresh.page, async () => {
      await fresh.page.goto(at('overview'), { waitUntil: 'commit' });
      figures = await (await fresh.page.waitForFunction(() => {
        const rows = document.querySelectorAll('main table tbody tr');
        return rows.length > 0 && performance.now();
      })).jsonValue();
      await fresh.settled();
    });
    const start = events.filter((e) => e.name === 'navigationStart' && e.args?.data?.isOutermostMainFrame).at(-1);
    const paint = events.filter((e) => e.name === 'firstContentfulPaint').at(-1);
    assert.ok(start && paint, 'the trace has a navigation and a paint');
    const ms = (paint.ts - start.ts) / 1000;
    const long = events.filter((e) => e.name === 'RunTask' && e.pid === paint.pid && e.tid === paint.tid && e.ts > start.ts && e.dur > 50_000);
    const longest = Math.max(0, ...long.map((e) => e.dur / 1000));
    console.log(`first contentful paint after ${ms.toFixed(0)} ms, figures after ${figures.toFixed(0)} ms; ${long.length} tasks of more than 50 ms, the longest ${longest.toFixed(0)} ms`);
    assert.ok(figures < figuresLimit, `figures after ${figures} ms`);
    assert.ok(longest < taskLimit, `a task of ${longest} ms`);
  } finally {
    await fresh.context.close();
  }
});
