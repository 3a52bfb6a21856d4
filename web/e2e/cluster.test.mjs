// The dashboard of a cluster, as people reach it: through the NodePort, with a
// token of a service account.
import assert from 'node:assert/strict';
import { at, eventually, number, pageTest, table } from './kit.mjs';

// The controller has made its certificate itself.
pageTest('who signs in with a token sees what the API counts', { ignoreHTTPSErrors: true, refused: true }, async (page) => {
  const want = JSON.parse(process.env.CLOVER_COUNTS);
  await page.goto(at('overview', { range: '1h' }));
  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Token').fill(process.env.CLOVER_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('main').waitFor();
  assert.equal(page.url(), at('overview', { range: '1h' }));
  await eventually(async () => {
    const rows = await table(page, 'Service response times');
    assert.deepEqual(Object.fromEntries(rows.map((r) => [r.Service, number(r.Requests)])), want);
  });
  await page.goto(at('data'));
  await page.getByText('You may read, but not change').waitFor();
});
