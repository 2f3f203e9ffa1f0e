import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';

import { ProcessFailed, askVersion, run } from '../src/processes';

const folder = mkdtempSync(path.join(tmpdir(), 'santa-'));

/** A program that does what these lines of shell say. */
function program(name: string, script: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

const asking = (command: string): Promise<string> =>
  askVersion({ origin: 'a test', command, args: ['-m', 'santa_lsp'], chosen: false }, folder);

test('a server says its version', async () => {
  const file = program('good', '[ "$*" = "-m santa_lsp --version" ] && echo "santa-lsp 0.1.0"');
  assert.equal(await asking(file), '0.1.0');
});

test('every way of having no server gets its own words', async () => {
  const without = program('without', 'echo "/usr/bin/python3: No module named santa_lsp" >&2; exit 1');
  await assert.rejects(asking(without), /does not have santa-lsp installed/);
  await assert.rejects(asking(path.join(folder, 'nowhere')), /there is no program/);
  await assert.rejects(asking(program('broken', 'echo "ImportError: libfoo" >&2; exit 1')), /ImportError: libfoo/);
  await assert.rejects(asking(program('other', 'echo "Python 3.12"')), /did not answer as santa-lsp does/);
});

test('what a program prints comes line by line, and its last word says why it failed', async () => {
  const lines: string[] = [];
  const never = new AbortController().signal;
  await run(program('talks', 'echo one; echo two >&2'), [], folder, (line) => lines.push(line), never);
  assert.deepEqual(lines.sort(), ['one', 'two']);
  const failing = program('fails', 'echo "ERROR: no such wheel" >&2; echo "[notice] a new pip"; exit 2');
  await assert.rejects(
    run(failing, [], folder, () => undefined, never),
    (error: Error) => error instanceof ProcessFailed && error.message === 'ERROR: no such wheel',
  );
});

test('a program can be ended', async () => {
  const stop = new AbortController();
  const running = run(program('sleeps', 'exec sleep 60'), [], folder, () => undefined, stop.signal);
  stop.abort();
  await assert.rejects(running, { name: 'AbortError' });
});
