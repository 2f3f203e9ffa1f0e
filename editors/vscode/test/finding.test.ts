import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Candidate, Places } from '../src/finding';
import { ServerMissing, candidates, findServer } from '../src/finding';

const nothing: Places = {
  interpreterSetting: '',
  programSetting: '',
  pythonExtension: '',
  ownEnvironment: '',
  pathInterpreters: ['python3'],
};

/** A probe to which only these commands answer. */
function answering(...commands: string[]) {
  return async (candidate: Candidate): Promise<string> => {
    if (!commands.includes(candidate.command)) {
      throw new Error('no answer');
    }
    return '1.2.3';
  };
}

test('what is nearer to the work comes first', () => {
  const all = candidates({ ...nothing, pythonExtension: '/project/python', ownEnvironment: '/own/python' });
  assert.deepEqual(
    all.map((each) => each.command),
    ['/project/python', '/own/python', 'python3', 'santa-lsp'],
  );
});

test('an interpreter runs the module, a program runs itself', () => {
  const all = candidates(nothing);
  assert.deepEqual(
    all.map((each) => each.args),
    [['-m', 'santa_lsp'], []],
  );
});

test('the first that answers is taken', async () => {
  const all = candidates({ ...nothing, pythonExtension: '/project/python', ownEnvironment: '/own/python' });
  const server = await findServer(all, answering('/own/python', 'python3'));
  assert.equal(server.command, '/own/python');
  assert.equal(server.version, '1.2.3');
});

test('nothing takes the place of what a setting names', async () => {
  const all = candidates({ ...nothing, interpreterSetting: '/chosen/python', ownEnvironment: '/own/python' });
  await assert.rejects(findServer(all, answering('/own/python')), (error: Error) => {
    assert.ok(error instanceof ServerMissing);
    assert.equal(error.chosen, true);
    assert.equal(error.message, 'the setting santa.interpreter: no answer');
    return true;
  });
});

test('santa.server.path goes before santa.interpreter', () => {
  const [only, ...others] = candidates({ ...nothing, programSetting: '/bin/santa', interpreterSetting: '/chosen/python' });
  assert.equal(only?.command, '/bin/santa');
  assert.deepEqual(others, []);
});

test('when nothing answers, every place that was looked at is told', async () => {
  await assert.rejects(findServer(candidates(nothing), answering()), (error: Error) => {
    assert.ok(error instanceof ServerMissing);
    assert.equal(error.chosen, false);
    assert.match(error.message, /python3 on the PATH: no answer; santa-lsp on the PATH: no answer/);
    return true;
  });
});
