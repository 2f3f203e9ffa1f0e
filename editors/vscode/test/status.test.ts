import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describe } from '../src/models';
import { RESTART_WINDOW_MS, Restarts } from '../src/restarts';
import type { Activity, ServerStatus } from '../src/statusText';
import { statusText } from '../src/statusText';

const status: ServerStatus = {
  state: 'ready',
  model: 'santa-mini',
  device: 'cpu',
  latencyMs: 34.4,
  accepted: 2,
  failure: '',
};
const ready: Activity = { off: '', missing: '', status, progress: '', thinking: false };

test('each state has its sign', () => {
  assert.equal(statusText(ready).text, '$(gift) Santa');
  assert.equal(statusText({ ...ready, thinking: true }).text, '$(loading~spin) Santa');
  assert.equal(statusText({ ...ready, status: undefined }).tooltip, 'The server starts');
  assert.equal(statusText({ ...ready, status: undefined, progress: 'Installing' }).tooltip, 'Installing');
  const loading: Activity = { ...ready, status: { ...status, state: 'loading' }, progress: '40%' };
  assert.equal(statusText(loading).text, '$(loading~spin) Santa 40%');
  assert.deepEqual(statusText({ ...ready, off: 'snoozed until 10:00' }), {
    text: '$(circle-slash) Santa',
    tooltip: 'Off: snoozed until 10:00',
    alarming: false,
  });
});

test('the tooltip has model, device and latency', () => {
  const { tooltip } = statusText(ready);
  for (const words of ['Model: santa-mini', 'Device: cpu', 'Last completion: 34 ms', 'Accepted: 2']) {
    assert.ok(tooltip.includes(words), words);
  }
  assert.ok(!statusText({ ...ready, status: { ...status, latencyMs: 0 } }).tooltip.includes('Last'));
});

test('what is wrong comes before everything else', () => {
  const wrong = statusText({ ...ready, off: 'turned off', missing: 'python3 has no santa-lsp' });
  assert.equal(wrong.tooltip, 'No server: python3 has no santa-lsp');
  assert.equal(wrong.alarming, true);
  const failed = statusText({ ...ready, status: { ...status, state: 'failed', failure: 'no model x' } });
  assert.equal(failed.tooltip, 'The model is not loaded: no model x');
  assert.equal(failed.alarming, true);
});

test('a server is restarted once, and again only much later', () => {
  const restarts = new Restarts();
  assert.equal(restarts.allow(1000), true);
  assert.equal(restarts.allow(2000), false);
  assert.equal(restarts.allow(2000 + RESTART_WINDOW_MS), true);
});

test('a model in one line', () => {
  const model = { name: 'm', parameters: 1.1e9, bytes: 1.2e9, languages: ['python', 'java'], licence: 'OpenRAIL' };
  assert.equal(describe(model), '1.1B parameters · 1200 MB · python, java · OpenRAIL');
  assert.equal(describe({ ...model, parameters: 0, languages: [] }), '1200 MB · OpenRAIL');
});
