// What the views beside the overview show, against the API's answers and the
// load generator's own count. The last test clears the store.
import assert from 'node:assert/strict';
import { api, at, eventually, number, order, pageTest, seconds, table, tally } from './kit.mjs';

const to = new Date(Math.ceil(Date.now() / 60_000) * 60_000);
const from = new Date(to.getTime() - 3600_000);
const range = `${from.toISOString()}/${to.toISOString()}`;
const asked = { 'range.from': from.toISOString(), 'range.to': to.toISOString() };

pageTest('the edges of the service graph', {}, async (page) => {
  await page.goto(at('graph', { range, as: 'table' }));
  const { edges } = await api('graph', asked);
  const sent = await tally();
  await eventually(async () => {
    const rows = await table(page, 'Edges of the service graph');
    assert.equal(rows.length, edges.length);
    for (const e of edges) {
      const row = rows.find((r) => r.From === e.source && r.To === e.destination && (r.Kind === 'mirrored') === e.mirrored);
      assert.ok(row, `${e.source} → ${e.destination}`);
      assert.equal(number(row.Requests), Number(e.stats.count));
      assert.ok(Math.abs(number(row['p95 (ms)']) - 1000 * seconds(e.stats.p95)) < 0.006);
    }
    const outside = rows.find((r) => r.From === '(external)' && r.To === 'proxy-access-control');
    assert.equal(number(outside.Requests), sent.Sent, 'requests that the generator sent');
    const copies = rows.find((r) => r.Kind === 'mirrored' && r.To === 'snort-ids');
    assert.equal(number(copies.Requests), sent.Served['snort-ids'], 'copies that the IDS got');
  });
});

pageTest('the picture of the graph, focus on a service, and its replay', {}, async (page) => {
  await page.goto(at('graph', { range }));
  const { nodes } = await api('graph', asked);
  const graph = page.getByRole('group', { name: /^Service graph/ });
  await eventually(async () => assert.equal(await graph.getByRole('button').count(), nodes.length));
  await graph.getByRole('button', { name: /^http-lb/ }).press('Enter');
  const { edges } = await api('graph', asked);
  await eventually(async () => {
    const rows = await table(page, 'http-lb asks');
    assert.deepEqual(rows.map((r) => r.To).sort(), edges.filter((e) => e.source === 'http-lb').map((e) => e.destination).sort());
  });
  assert.match(page.url(), /focus=http-lb/);
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('button', { name: /Pause|Stop/ }).first().waitFor();
});

pageTest('traces are found, opened and compared', {}, async (page) => {
  await page.goto(at('traces', { range }));
  const { traces } = await api('traces', { ...asked, page_size: 50 });
  await eventually(async () => {
    const rows = await table(page, 'Traces');
    assert.ok(rows.length > 5);
    rows.forEach((row, i) => assert.equal(number(row.Spans), traces[i].spans));
  });
  const id = traces[0].trace_id;
  for (const t of traces.slice(0, 2)) await page.getByRole('checkbox', { name: new RegExp(t.trace_id.slice(0, 8)) }).check();
  await page.getByRole('link', { name: 'Compare the two' }).click();
  await page.getByRole('table', { name: 'Spans of both traces', exact: true }).waitFor();

  await page.goto(at(`traces/${id}`));
  const { spans } = await api(`traces/${id}`);
  const tree = page.getByRole('tree');
  await eventually(async () => assert.equal(await tree.getByRole('treeitem').count(), spans.length));
  await tree.getByRole('treeitem').first().click();
  const details = page.getByRole('region', { name: 'The span' });
  await details.getByText(spans.find((s) => !s.parent_id).span_id).waitFor();
});

pageTest('latencies over time', {}, async (page) => {
  const [answer] = await Promise.all([page.waitForResponse(/\/heatmap\?/), page.goto(at('latency', { range }))]);
  const heat = await answer.json();
  const { total } = await api('stats', asked);
  assert.equal(heat.total, total.count);
  await page.getByText(`${Number(heat.total).toLocaleString('en-US')} requests`, { exact: false }).first().waitFor();
  await page.getByRole('button', { name: 'Spread of latencies as a table' }).click();
  await eventually(async () => {
    const rows = await table(page, 'Spread of latencies');
    assert.ok(rows.length > 0);
    const sums = heat.bands.map((_, i) => heat.columns.reduce((n, c) => n + Number(c.counts[i]), 0));
    rows.forEach((row, i) => assert.equal(number(row.Requests), sums[i]));
  });
});

pageTest('examples of a latency, by the keyboard', {}, async (page, { settled }) => {
  await page.goto(at('latency', { range }));
  const heat = page.getByRole('application', { name: /^Latency over time/ });
  await heat.locator('canvas').first().waitFor();
  await heat.focus();
  const examples = page.getByRole('region', { name: 'Examples' });
  await eventually(async () => {
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    assert.equal(await examples.count(), 1); // the chart is drawn a frame after its canvas comes
  });
  // Of a request that began long after its trace none is found: another cell has some.
  await eventually(async () => {
    await settled();
    if ((await table(page, 'Example traces')).length > 0) return;
    await heat.focus();
    for (const key of ['ArrowDown', 'ArrowLeft', 'Enter']) await page.keyboard.press(key);
    assert.fail('no examples');
  });
});

pageTest('what changed most', {}, async (page) => {
  // The traffic is in the second half of this range, so that all of it is new.
  await page.goto(at('movers', { range, by: 'count' }));
  const { movers } = await api('movers', { 'target.from': asked['range.from'], 'target.to': asked['range.to'], group_by: 'service', by: 'count', limit: 50 });
  await eventually(async () => {
    const rows = await table(page, 'Top movers');
    assert.equal(rows.length, movers.length);
    rows.forEach((row, i) => {
      assert.equal(row.service ?? row.Service, movers[i].values[0]);
      assert.equal(number(row.Now), Number(movers[i].target.count));
      assert.equal(number(row.Change.replace('+', '')), movers[i].change);
    });
  });
});

pageTest('metrics by service, prefix and suffix', {}, async (page) => {
  await page.goto(at('metrics'));
  const { metrics } = await api('metrics');
  assert.equal(metrics.length, 5);
  await eventually(async () => {
    const rows = await table(page, 'Metrics');
    assert.deepEqual(rows.map((r) => r.Metric).sort(), metrics.map((m) => m.name).sort());
  });
  // Each has a plot, whose table has the points.
  const name = 'envoy_tracing_zipkin_spans_sent';
  await page.getByRole('button', { name: `${name} as a table` }).click();
  await eventually(async () => {
    const rows = await table(page, name);
    const { series } = await api('metrics/points', { name, limit: 1000 });
    assert.ok(rows.length >= 3);
    const values = series[0].points.map((p) => p.value);
    for (const row of rows) assert.ok(values.includes(number(Object.values(row).at(-1))), JSON.stringify(row));
  });
});

pageTest('spans as they arrive, and a pause', {}, async (page) => {
  await page.goto(at('live'));
  await page.getByText('Waiting for spans…').waitFor();
  await order('send?requests=5');
  const label = 'Spans as they arrive, the newest first';
  await eventually(async () => assert.ok((await table(page, label)).length > 5));
  await page.getByRole('button', { name: 'Pause' }).click();
  const shown = await table(page, label);
  await order('send?requests=5');
  await page.getByText(/\d+ waiting/).waitFor();
  assert.deepEqual(await table(page, label), shown);
  await page.getByRole('button', { name: 'Go on' }).click();
  await eventually(async () => assert.notDeepEqual(await table(page, label), shown));
});

pageTest('the ledger balances', {}, async (page) => {
  await page.goto(at('data'));
  const { entries } = await api('ledger');
  const sent = await tally();
  await eventually(async () => {
    const rows = await table(page, 'Ledger');
    for (const e of entries) {
      const row = rows.find((r) => r.Service === e.service && r.Source === e.source);
      assert.ok(row, `${e.source} ${e.service}`);
      for (const [title, want] of [['Seen', e.seen], ['Kept', e.kept], ['Duplicates', e.duplicate], ['Truncated', e.truncated], ['Unaccounted', e.balance]]) {
        assert.equal(number(row[title]), Number(want), `${e.service} ${title}`);
      }
    }
    // What was sent again on a busy machine was seen twice, and kept once.
    assert.equal(number(rows.find((r) => r.Service === 'clover-server4').Kept), sent.Served['clover-server4']);
  });
});

pageTest('services are selected and tracked, and nothing is cleared without being asked', {}, async (page) => {
  await page.goto(at('data'));
  const list = page.getByRole('listbox', { name: 'Discovered services' });
  await list.getByRole('option', { name: /^http-lb/ }).click();
  await list.getByRole('option', { name: /^snort-ids/ }).click({ modifiers: ['Control'] });
  await page.getByRole('button', { name: 'Track 2' }).click();
  await eventually(async () => assert.deepEqual((await api('config')).config.services.toSorted(), ['http-lb', 'snort-ids']));

  await page.getByRole('button', { name: 'Clear…' }).click();
  await page.getByRole('button', { name: 'Keep' }).click();
  assert.notEqual(Number((await api('status')).store.spans), 0);
  await page.getByRole('button', { name: 'Clear…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Clear', exact: true }).click();
  await eventually(async () => assert.equal(Number((await api('status')).store.spans), 0));
  await page.goto(at('overview'));
  await page.getByText(/No .*requests|No spans|Waiting|no spans/i).first().waitFor();
});
