// Where Clover asks who calls, a person signs in once for the page and what it
// asks, and sees what may be done.
import assert from 'node:assert/strict';
import { at, eventually, pageTest, table, url } from './kit.mjs';

const token = { reader: 'token-of-the-reader', operator: 'token-of-the-operator' };

async function signIn(page, role, link = at('overview')) {
  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(link);
  await page.getByLabel('Token').fill(token[role]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('main').waitFor();
}

pageTest('signing in leads to the place in the link, and its figures', {}, async (page) => {
  await signIn(page, 'reader', at('overview', { range: '1h' }));
  assert.equal(page.url(), at('overview', { range: '1h' }));
  await eventually(async () => assert.ok((await table(page, 'Service response times')).length > 5));
});

pageTest('a reader changes nothing, an operator may', { refused: true }, async (page) => {
  const buttons = ['Track', 'Save', 'Stop collecting', 'Clear…'].map((name) => page.getByRole('button', { name, exact: name !== 'Track' }));
  await signIn(page, 'reader', at('data'));
  await page.getByText('You may read, but not change').waitFor();
  for (const button of buttons) await eventually(async () => assert.ok(await button.isDisabled()));
  const answers = await page.evaluate(async () => {
    const send = (path, method) => fetch(`api/v1/visibility/${path}`, { method, headers: { 'Content-Type': 'application/json' }, body: '{}' });
    return Promise.all([send('clear', 'POST'), send('stop', 'POST'), send('config', 'PATCH')].map(async (r) => (await r).status));
  });
  assert.deepEqual(answers, [403, 403, 403], 'what the API says to it');

  await signIn(page, 'operator', at('data'));
  for (const name of ['Stop collecting', 'Clear…']) await eventually(async () => assert.ok(await page.getByRole('button', { name, exact: true }).isEnabled()));
  const choice = page.getByRole('listbox', { name: 'Discovered services' }).getByRole('option');
  await choice.first().click();
  await page.getByRole('button', { name: /^Track/ }).and(page.locator(':enabled')).waitFor();
});

pageTest('a wrong token is refused', { refused: true }, async (page) => {
  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(`${url}/`);
  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
});
