import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PACE_MS, Pace } from '../src/pace';

test('a quick completion is shown once, at its end', () => {
  const pace = new Pace(0);
  assert.equal(pace.due('self', 10), false);
  assert.equal(pace.due('self.x', PACE_MS - 1), false);
});

test('the first piece is shown at the end of its first line', () => {
  const pace = new Pace(0);
  assert.equal(pace.due('\n', 10), false);
  assert.equal(pace.due('return x', 20), false);
  assert.equal(pace.due('return x\n', 30), true);
});

test('a slow completion is shown at a pace', () => {
  const pace = new Pace(0);
  assert.equal(pace.due('a', PACE_MS), true);
  assert.equal(pace.due('ab', PACE_MS + 10), false);
  assert.equal(pace.due('ab\n', PACE_MS + 20), false);
  assert.equal(pace.due('ab\nc', 2 * PACE_MS), true);
  assert.equal(pace.due('ab\nc', 3 * PACE_MS), false, 'nothing new');
});
