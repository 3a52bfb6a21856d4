// How the page is handled: a drag over a chart, the keyboard.
import assert from 'node:assert/strict';
import { at, eventually, pageTest } from './kit.mjs';

const to = new Date(Math.ceil(Date.now() / 60_000) * 60_000);
const from = new Date(to.getTime() - 3600_000);
const range = `${from.toISOString()}/${to.toISOString()}`;

/** A setting in the page's address. */
const inLink = (page, name) => new URLSearchParams(new URL(page.url()).hash.split('?')[1] ?? '').get(name);

pageTest('a drag over a chart zooms', {}, async (page) => {
  await page.goto(at('overview', { range }));
  const chart = page.getByRole('img', { name: /^Request rate by service/ });
  await chart.locator('canvas').first().waitFor();
  await eventually(async () => {
    const box = await chart.boundingBox();
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * 0.5, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, y, { steps: 4 });
    await page.mouse.move(box.x + box.width * 0.75, y, { steps: 4 });
    await page.mouse.up();
    assert.notEqual(inLink(page, 'range'), range); // the chart is drawn a frame after its canvas comes
  });
  const [a, b] = inLink(page, 'range').split('/').map((t) => Date.parse(t));
  assert.ok(a > from.getTime() && b < to.getTime(), `${inLink(page, 'range')} is within ${range}`);
  const share = (b - a) / 3600_000;
  assert.ok(share > 0.2 && share < 0.35, `a quarter of the chart is ${share} of the range`);
});

pageTest('every view by the keyboard', {}, async (page) => {
  await page.goto(at('overview', { range }));
  await page.getByRole('main').waitFor();
  for (const [key, view] of Object.entries({ g: 'graph', t: 'traces', l: 'latency', m: 'movers', p: 'metrics', v: 'live', d: 'data', o: 'overview' })) {
    // On a busy machine the second key may come too late.
    await eventually(async () => {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      assert.match(page.url(), new RegExp(`#/${view}(\\?|$)`));
    });
  }
  assert.equal(inLink(page, 'range'), range, 'the range goes along');
});

pageTest('keys for what is done often', {}, async (page) => {
  await page.goto(at('overview', { range, filter: 'status >= 200' }));
  const refresh = page.getByRole('switch', { name: 'Refresh every 5 s' });
  await refresh.waitFor();
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);

  await page.keyboard.press('x');
  await eventually(async () => assert.equal(inLink(page, 'filter'), null));
  await page.keyboard.press('/');
  await eventually(async () => assert.ok(await page.getByRole('combobox', { name: 'Filter' }).evaluate((e) => e === document.activeElement)));
  await page.keyboard.press('r'); // into the filter, not to the page
  assert.equal(await refresh.getAttribute('aria-checked'), 'true');
  await page.getByRole('main').focus();

  for (const on of ['false', 'true']) {
    await page.keyboard.press('r');
    await eventually(async () => assert.equal(await refresh.getAttribute('aria-checked'), on));
  }
  for (const name of ['light', 'dark']) {
    await page.keyboard.press('Shift+D');
    await eventually(async () => assert.equal(await theme(), name));
  }
  await page.keyboard.press('+');
  await eventually(async () => assert.notEqual(inLink(page, 'range'), range));
  await page.keyboard.press('?');
  const list = page.getByRole('dialog', { name: 'Keys' });
  await list.getByText('Filter', { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await list.waitFor({ state: 'hidden' });
});
