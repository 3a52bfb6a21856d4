// What the overview shows, against the API's answers and the load generator's
// own count.
import assert from 'node:assert/strict';
import { api, at, eventually, number, pageTest, seconds, table, tally } from './kit.mjs';

// Everything that was sent, in a range that does not move.
const to = new Date(Math.ceil(Date.now() / 60_000) * 60_000);
const from = new Date(to.getTime() - 3600_000);
const range = `${from.toISOString()}/${to.toISOString()}`;
const asked = { 'range.from': from.toISOString(), 'range.to': to.toISOString() };

const overview = (params = {}) => at('overview', { range, ...params });

pageTest('the counts of the system', {}, async (page) => {
  await page.goto(overview());
  const { total } = await api('stats', asked);
  const counts = page.getByRole('list', { name: 'System counts' });
  const shown = async (name) => {
    const value = counts.getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) }).locator('.value');
    return number((await value.getAttribute('title')) ?? '');
  };
  const { store: before } = await api('status');
  await eventually(async () => {
    assert.equal(await shown('Requests'), Number(total.count));
    for (const name of ['traces', 'spans', 'sessions']) assert.equal(await shown(name[0].toUpperCase() + name.slice(1)), Number(before[name]));
    // Points come all the time.
    const points = await shown('Metrics');
    assert.ok(points >= Number(before.metrics) && points <= Number((await api('status')).store.metrics), `${points} metric points`);
  });
  const sent = await tally();
  const served = Object.values(sent.Served).reduce((a, b) => a + b, 0);
  assert.equal(Number(total.count), served, 'requests of the API and of the generator');
});

pageTest('response times of each service', {}, async (page) => {
  await page.goto(overview());
  const { groups } = await api('stats', { ...asked, group_by: 'service', limit: 1000 });
  const sent = await tally();
  await eventually(async () => {
    const rows = await table(page, 'Service response times');
    assert.equal(rows.length, groups.length);
    for (const g of groups) {
      const row = rows.find((r) => r.Service === g.values[0]);
      assert.ok(row, g.values[0]);
      assert.equal(number(row.Requests), Number(g.stats.count));
      assert.equal(number(row.Requests), sent.Served[g.values[0]], `the generator's count of ${g.values[0]}`);
      for (const [title, of] of [['Min (ms)', 'min'], ['Avg (ms)', 'mean'], ['Max (ms)', 'max'], ['p50 (ms)', 'p50'], ['p90 (ms)', 'p90'], ['p95 (ms)', 'p95'], ['p99 (ms)', 'p99']]) {
        assert.ok(Math.abs(number(row[title]) - 1000 * seconds(g.stats[of])) < 0.006, `${g.values[0]} ${title}: ${row[title]}, want ${g.stats[of]}`);
      }
    }
  });
});

for (const [tab, title, by] of [
  ['Service', 'Requests by service', ['service']],
  ['URL', 'Requests by URL', ['url']],
  ['URL / status', 'Requests by URL / status', ['url', 'status']],
  ['User agent', 'Requests by user agent', ['user_agent']],
  ['Service / URL', 'Requests by service / URL', ['service', 'url']],
]) {
  pageTest(`counts and shares by ${tab}`, {}, async (page) => {
    await page.goto(overview());
    await page.getByRole('tablist', { name: 'Group by' }).getByRole('tab', { name: tab, exact: true }).click();
    const asTable = page.getByRole('button', { name: `${title} as a table`, exact: true });
    if ((await asTable.getAttribute('aria-pressed')) === 'false') await asTable.click();
    const { groups, total } = await api('stats', { ...asked, group_by: by, limit: 200 });
    await eventually(async () => {
      const rows = await table(page, title);
      assert.ok(rows.length > 0 && rows.length <= groups.length, `${rows.length} rows of ${groups.length}`);
      rows.forEach((row, i) => {
        const cells = Object.values(row);
        assert.equal(number(cells.at(-2)), Number(groups[i].stats.count));
        assert.ok(Math.abs(number(cells.at(-1)) - (100 * groups[i].stats.count) / total.count) < 0.06, `${cells}`);
      });
    });
  });
}

for (const [tab, dimension] of [['User agents', 'user_agent'], ['Request URLs', 'url'], ['Status codes', 'status']]) {
  pageTest(`distinct ${tab}`, {}, async (page) => {
    await page.goto(overview());
    await page.getByRole('tablist', { name: 'HTTP details' }).getByRole('tab', { name: tab, exact: true }).click();
    const { values } = await api(`values/${dimension}`, { ...asked, limit: 10_000 });
    await eventually(async () => {
      const rows = await table(page, tab);
      assert.ok(rows.length > 0);
      rows.forEach((row, i) => {
        assert.equal(row[tab], values[i].value === '' ? '(none)' : values[i].value);
        assert.equal(number(row.Count), Number(values[i].count));
      });
    });
  });
}

pageTest('a filter narrows every figure, and is in the link', {}, async (page) => {
  await page.goto(overview());
  const input = page.getByRole('combobox', { name: 'Filter' });
  await input.pressSequentially('service = clover-s');
  await page.getByRole('option', { name: 'clover-server4' }).click();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  const { total } = await api('stats', { ...asked, filter: 'service = "clover-server4"' });
  await eventually(async () => {
    const rows = await table(page, 'Service response times');
    assert.deepEqual(rows.map((r) => [r.Service, number(r.Requests)]), [['clover-server4', Number(total.count)]]);
  });
  const link = page.url();
  assert.match(decodeURIComponent(link), /filter=service/);
  await page.goto('about:blank');
  await page.goto(link);
  await eventually(async () => assert.equal((await table(page, 'Service response times')).length, 1));
});

pageTest('tables are saved as CSV and JSON, charts as PNG, and every view as a command', { permissions: ['clipboard-read', 'clipboard-write'] }, async (page) => {
  await page.goto(overview());
  await eventually(async () => assert.ok((await table(page, 'Service response times')).length > 0));
  const save = async (panel, item) => {
    await page.getByRole('button', { name: `More of ${panel}`, exact: true }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: item }).click()]);
    const parts = [];
    for await (const part of await file.createReadStream()) parts.push(part);
    return Buffer.concat(parts);
  };
  const { groups } = await api('stats', { ...asked, group_by: 'service', limit: 1000 });
  const csv = (await save('Service response times', 'Save as CSV')).toString();
  assert.equal(csv.trim().split('\n').length, groups.length + 1, csv);
  const json = JSON.parse((await save('Service response times', 'Save as JSON')).toString());
  assert.equal(json.length, groups.length);
  const png = await save('Requests by service', 'Save as PNG');
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.length > 5000, `${png.length} bytes`);
  const ring = await save('Requests by service', 'Save the ring as PNG');
  assert.equal(ring.subarray(1, 4).toString(), 'PNG');
  assert.ok(!ring.equals(png));
  await page.getByRole('button', { name: 'More of Service response times', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Copy as cloverctl' }).click();
  const command = await eventually(async () => {
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /^cloverctl /);
    return text;
  });
  assert.match(command, /get visibility stats/);
  assert.match(command, /--group-by service/);
});
