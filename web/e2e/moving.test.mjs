// The page moves: a stream brings new figures, it can be stopped, several
// browsers look at once, and a server that comes back is found again.
import assert from 'node:assert/strict';
import { api, at, eventually, number, order, pageTest, table, visit } from './kit.mjs';

const requests = async (page, service) => {
  const rows = await table(page, 'Service response times');
  return number(rows.find((r) => r.Service === service)?.Requests ?? '0');
};
// So far back that nothing which was counted leaves the range meanwhile.
const overview = at('overview', { range: '1h' });
const counted = async (service) => {
  const { groups } = await api('stats', { group_by: 'service', 'range.last': '3600s' });
  return Number(groups.find((g) => g.values[0] === service)?.stats.count ?? 0);
};

pageTest('new requests appear in two browsers, and not where Refresh is off', {}, async (page) => {
  const other = await visit();
  try {
    await Promise.all([page.goto(overview), other.page.goto(overview)]);
    const before = await counted('http-lb');
    await eventually(async () => assert.equal(await requests(page, 'http-lb'), before));
    const still = await visit();
    await still.page.goto(overview);
    await eventually(async () => assert.equal(await requests(still.page, 'http-lb'), before));
    await still.page.getByRole('switch', { name: 'Refresh every 5 s' }).click();
    await order('send?requests=50');
    const now = await counted('http-lb');
    assert.ok(now > before, `${before} and then ${now}`);
    for (const p of [page, other.page]) await eventually(async () => assert.equal(await requests(p, 'http-lb'), now));
    assert.equal(await requests(still.page, 'http-lb'), before, 'the page that stands still');
    await still.page.getByRole('switch', { name: 'Refresh every 5 s' }).click();
    await eventually(async () => assert.equal(await requests(still.page, 'http-lb'), now));
    assert.deepEqual([...other.problems, ...still.problems].filter((p) => !/ERR_NETWORK_CHANGED/.test(p)), []);
    await still.context.close();
  } finally {
    await other.context.close();
  }
});

pageTest('a server that was away is found again', { refused: true }, async (page) => {
  await page.goto(overview);
  const before = await counted('http-lb');
  await eventually(async () => assert.equal(await requests(page, 'http-lb'), before));
  await order('stop');
  await page.getByText('Connection lost').waitFor();
  assert.equal(await requests(page, 'http-lb'), before, 'what was shown stays');
  await order('start');
  await order('send?requests=30');
  const now = await counted('http-lb');
  assert.ok(now > before);
  await eventually(async () => assert.equal(await requests(page, 'http-lb'), now));
  await page.getByText('Connection lost').waitFor({ state: 'detached' });
});
