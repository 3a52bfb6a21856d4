// Where Clover asks who calls, a person signs in once for the page and what it
// asks, and sees what may be done.
import assert from 'node:assert/strict';
import { at, eventually, pageTest, table, url } from './kit.mjs';

const token = { reader: 'token-of-the-reader', operator: 'token-of-the-operator' };

async function signIn(page, role, link = at('overview')) {
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

pageTest('a wrong token is refused', { refused: true }, async (page) => {
  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(`${url}/`);
  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
});
