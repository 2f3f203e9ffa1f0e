import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';

import { InstallFailed, advice, findPython, install, interpreterOf, ownInterpreter, pipStep } from '../src/environment';

const folder = mkdtempSync(path.join(tmpdir(), 'santa-'));
const never = new AbortController().signal;

/** A Python whose virtual environments have an interpreter that runs this shell script. */
function python(name: string, insideEnvironment: string): string {
  const file = path.join(folder, name);
  const inside = path.join(folder, `${name}-inside`);
  writeFileSync(inside, `#!/bin/sh\n${insideEnvironment}\n`);
  chmodSync(inside, 0o755);
  // Called as: python -m venv DIRECTORY
  writeFileSync(file, `#!/bin/sh\n[ "$2" = venv ] || exit 1\nmkdir -p "$3/bin" && cp "${inside}" "$3/bin/python"\n`);
  chmodSync(file, 0o755);
  return file;
}

const plan = (interpreter: string, directory: string, signal = never) => {
  const steps: string[] = [];
  const whole = {
    python: interpreter,
    source: '/wheels/santa_lsp.whl',
    directory,
    report: (step: string) => void steps.push(step),
    log: () => undefined,
    signal,
  };
  return { whole, steps };
};

test('the server is installed from the given wheel, each step told', async () => {
  const calls = path.join(folder, 'calls');
  const inside = `echo "$*" >> ${calls}; case "$*" in *--version) echo "santa-lsp 0.1.0";; *) echo "Collecting numpy>=1.26 (from santa-lsp)";; esac`;
  const directory = path.join(folder, 'good');
  const { whole, steps } = plan(python('python-good', inside), directory);
  assert.equal(await install(whole), interpreterOf(directory));
  assert.equal(ownInterpreter(directory), interpreterOf(directory));
  assert.match(readFileSync(calls, 'utf8'), /-m pip install .*\/wheels\/santa_lsp\.whl\n-m santa_lsp --version/);
  assert.deepEqual(steps, [
    'making a virtual environment',
    'downloading what the server needs',
    'collecting numpy',
    'checking the server',
  ]);
});

test('a failed installation says why and leaves nothing behind', async () => {
  const directory = path.join(folder, 'bad');
  const { whole } = plan(python('python-bad', 'echo "ERROR: No space left on device" >&2; exit 1'), directory);
  await assert.rejects(install(whole), (error: Error) => {
    assert.ok(error instanceof InstallFailed);
    assert.match(error.message, /disk is full/);
    return true;
  });
  assert.equal(existsSync(directory), false);
  assert.equal(ownInterpreter(directory), '');
});

test('a cancelled installation leaves nothing behind', async () => {
  const directory = path.join(folder, 'cancelled');
  const stop = new AbortController();
  const { whole } = plan(python('python-slow', 'exec sleep 60'), directory, stop.signal);
  const running = install({ ...whole, report: (step) => step.startsWith('downloading') && stop.abort() });
  await assert.rejects(running, { name: 'AbortError' });
  assert.equal(existsSync(directory), false);
});

test('a Python that is too old is passed over', async () => {
  const old = path.join(folder, 'old');
  writeFileSync(old, '#!/bin/sh\nexit 1\n');
  chmodSync(old, 0o755);
  const recent = path.join(folder, 'recent');
  writeFileSync(recent, '#!/bin/sh\nexit 0\n');
  chmodSync(recent, 0o755);
  assert.equal(await findPython([old, path.join(folder, 'nowhere'), recent], folder, never), recent);
  await assert.rejects(findPython([old], folder, never), /No Python 3\.11 or newer was found/);
});

test('pip is translated', () => {
  assert.equal(pipStep('Collecting numpy>=1.26 (from santa-lsp)'), 'collecting numpy');
  assert.equal(pipStep('  Downloading https://x/y/numpy-2.1-cp311.whl (16 MB)'), 'downloading numpy-2.1-cp311.whl');
  assert.equal(pipStep('Installing collected packages: numpy, santa-lsp'), 'installing');
  assert.equal(pipStep('Looking in indexes'), undefined);
});

test('failures say what to do', () => {
  assert.match(advice('The virtual environment was not created because ensurepip is not available.'), /apt install/);
  assert.match(advice('ERROR: Could not find a version that satisfies the requirement x'), /network/);
  assert.equal(advice('something else'), 'something else');
});
