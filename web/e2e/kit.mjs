// What the tests share: a real browser on the real server, and what no page
// may ever do.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const require = createRequire(join(process.env.CLOVER_MODULES, 'x.js'));
const { chromium } = require('playwright-core');

/** Where the dashboard is, and where the Go test takes orders. */
export const url = process.env.CLOVER_URL;
const control = process.env.CLOVER_CONTROL;

/** The folder for pictures. */
export const pictures = process.env.CLOVER_PICTURES;

/** The views of the dashboard. */
export const views = ['overview', 'graph', 'traces', 'latency', 'movers', 'metrics', 'live', 'data'];

/** Longest wait for something to appear, in milliseconds: machines are busy. */
export const patience = 120_000;

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CLOVER_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});
after(() => browser?.close());

// Where the browser has no network of its own, other tests on this machine make
// it try again by adding and removing interfaces.
const otherTests = /ERR_NETWORK_CHANGED/;

const visitors = new Map();

/** The visitor whose browser is set up so; the tests of a file share it. */
async function visitorWith(options) {
  const key = JSON.stringify(options);
  if (!visitors.has(key)) visitors.set(key, await visit(options));
  return visitors.get(key);
}

/**
 * Runs a test in a page. At its end nothing may have gone wrong that a person
 * would find in the browser's console, nothing may have been asked of another
 * host, and nothing hostile may have run. options go to the browser's context;
 * with refused, requests may find no server, or one that refuses them.
 */
export function pageTest(name, { refused = false, ...options }, run) {
  test(name, { timeout: 300_000 }, async () => {
    const visitor = await visitorWith(options);
    visitor.problems.length = 0;
    try {
      await run(visitor.page, visitor);
      assert.equal(await visitor.page.evaluate(() => window.pwned), undefined, 'something hostile ran');
      const known = refused ? /ERR_|Failed to load|Failed to fetch/ : otherTests;
      assert.deepEqual(visitor.problems.filter((p) => !known.test(p)), []);
    } catch (err) {
      if (pictures) await visitor.page.screenshot({ path: join(pictures, `failure-${name.replace(/\W+/g, '-')}.png`) }).catch(() => {});
      if (visitor.problems.length) err.message += `\nthe browser says: ${visitor.problems.join('\n')}`;
      throw err;
    }
  });
}

/** Opens a page and listens to what goes wrong in it. */
export async function visit(options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 }, colorScheme: 'dark', reducedMotion: 'reduce', ...options,
  });
  context.setDefaultTimeout(patience);
  const problems = [];
  const page = await context.newPage();
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && problems.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => problems.push(`exception: ${e.name}: ${e.message}\n${e.stack}`)); // what the browser throws has no stack
  page.on('dialog', (d) => { problems.push(`dialog: ${d.message()}`); void d.dismiss(); });
  page.on('request', (r) => {
    const to = new URL(r.url());
    if (['http:', 'https:', 'ws:'].includes(to.protocol) && to.origin !== url) problems.push(`asks another host: ${r.url()}`);
  });
  const pending = new Set();
  const isStream = (r) => /\/(stats\/watch|spans)(\?|$)/.test(r.url());
  page.on('request', (r) => isStream(r) || pending.add(r));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (r) => pending.delete(r));
  /** Waits until the page has what it asked for, streams aside. */
  const settled = async () => {
    await page.getByRole('main').waitFor();
    for (let quiet = 0; quiet < 3; ) {
      await page.waitForTimeout(80);
      const loading = await page.getByText('Loading…').count();
      quiet = pending.size === 0 && loading === 0 ? quiet + 1 : 0;
    }
  };
  return { page, context, problems, settled };
}

/** The link to a view. */
export const at = (view, params = {}) => {
  const query = new URLSearchParams(params).toString();
  return `${url}/#/${view}${query ? `?${query}` : ''}`;
};

/** Asks the API. */
export async function api(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) for (const v of [value].flat()) query.append(name, v);
  const res = await fetch(`${url}/api/v1/visibility/${path}?${query}`);
  assert.equal(res.status, 200, `${path}: ${await res.clone().text()}`);
  return res.json();
}

/** What the load generator counted. */
export const tally = async () => (await fetch(`${control}/tally`)).json();

/** Tells the Go test to do something: stop, start, send. */
export async function order(what) {
  const res = await fetch(`${control}/${what}`, { method: 'POST' });
  assert.equal(res.status, 200, `${what}: ${await res.text()}`);
}

/** Waits until a check that throws no more passes. */
export async function eventually(check, limit = patience) {
  for (const began = Date.now(); ; ) {
    try {
      return await check();
    } catch (err) {
      if (Date.now() - began > limit) throw err;
      await new Promise((done) => setTimeout(done, 100));
    }
  }
}

/** The rows of a table by its label, as objects of texts by column title. */
export async function table(page, label) {
  return page.getByRole('table', { name: label, exact: true }).evaluate((t) => {
    const titles = [...t.querySelectorAll('thead th')].map((th) => th.innerText.replace(/[↑↓]/g, '').trim());
    return [...t.querySelectorAll('tbody tr:not([aria-hidden])')].map((tr) =>
      Object.fromEntries([...tr.children].map((td, i) => [titles[i], td.innerText.trim()])),
    );
  });
}

/** The number that a text such as "1,234" or "12.5 %" shows. */
export const number = (text) => Number.parseFloat(text.replace(/[,\s\u202f%]/g, ''));

/** Seconds of a duration of the API, e.g. "0.012s". */
export const seconds = (text) => Number.parseFloat(text);
