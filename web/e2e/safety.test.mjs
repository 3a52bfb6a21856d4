// Hostile texts in every field that callers and workloads choose: they show as
// text, in every view, and run nothing.
import assert from 'node:assert/strict';
import { api, at, eventually, pageTest, table, url, views } from './kit.mjs';

pageTest('hostile texts show as texts', {}, async (page) => {
  await page.goto(at('overview', { range: '1h' }));
  const { values } = await api('values/service', { 'range.last': '3600s' });
  assert.ok(values.length > 5);
  await eventually(async () => {
    const shown = (await table(page, 'Service response times')).map((r) => r.Service);
    for (const { value } of values) if (!/[\u0000-\u001f\u202e]/.test(value)) assert.ok(shown.includes(value), `${value} of ${shown}`);
    assert.ok(!/[\u0007\u202e]/.test(shown.join('')), 'control characters reach the page');
  });
  for (const tab of ['Request URLs', 'User agents']) {
    await page.getByRole('tab', { name: tab, exact: true }).click();
    await eventually(async () => assert.ok((await table(page, tab)).length >= values.length));
  }
});

for (const view of views.slice(1)) {
  pageTest(`hostile texts run nothing in ${view}`, {}, async (page, { settled }) => {
    await page.goto(at(view, { range: '1h' }));
    await settled();
    if (view !== 'traces') return;
    const { traces } = await api('traces', { 'range.last': '3600s' });
    assert.ok(traces.length > 5);
    for (const { trace_id: id } of traces.slice(0, 6)) {
      await page.goto(at(`traces/${id}`));
      await settled();
    }
  });
}

pageTest('a hostile link is a wrong link', { refused: true }, async (page, { settled }) => {
  for (const hash of [
    '#/traces/<img src=x onerror=window.pwned=1>', '#/overview?range=<svg/onload=window.pwned=1>', '#/javascript:window.pwned=1',
    '#/overview?by=__proto__&distinct=constructor',
  ]) {
    await page.goto('about:blank');
    await page.goto(`${url}/${hash}`);
    await settled();
  }
});
