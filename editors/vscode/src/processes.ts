/** Other programs, asked and run. */

import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Candidate } from './finding';

/** How long a program may take to say its version; a cold disk and a virus scanner take their time. */
const PATIENCE_MS = 30_000;

/** Ask a candidate for its version. See finding.Probe. */
export function askVersion(candidate: Candidate, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd, timeout: PATIENCE_MS, windowsHide: true };
    execFile(candidate.command, [...candidate.args, '--version'], options, (error, stdout, stderr) => {
      const version = /^santa-lsp (\S+)/m.exec(stdout)?.[1];
      if (version) {
        resolve(version);
      } else {
        reject(new Error(whyNot(candidate, error, stderr)));
      }
    });
  });
}

function whyNot(candidate: Candidate, error: Error | null, stderr: string): string {
  if (/No module named '?santa_lsp/.test(stderr)) {
    return `${candidate.command} does not have santa-lsp installed`;
  }
  if (error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES')) {
    return `there is no program ${candidate.command}`;
  }
  return lastLine(stderr) || `${candidate.command} did not answer as santa-lsp does`;
}

/** A program that ended badly; the message is its own last word. */
export class ProcessFailed extends Error {}

/**
 * Run a program to its end, each line of its output given to `onLine`.
 * Rejects with ProcessFailed, and when `signal` ends it.
 */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, signal, windowsHide: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        lines.push(line);
        onLine(line);
      });
    }
    child.on('error', (error) => reject(signal.aborted ? error : new ProcessFailed(error.message)));
    child.on('close', (code) => {
      if (code === 0) {
        resolve();
      } else {
        reject(new ProcessFailed(lastWord(lines) || `${command} ended with status ${code}`));
      }
    });
  });
}

/** The line that tells most: the last that says ERROR or Error, else the last one. */
function lastWord(lines: readonly string[]): string {
  const said = lines.filter((line) => line.trim());
  return (said.findLast((line) => /^\s*(ERROR|Error|\w+Error):/.test(line)) ?? said.at(-1) ?? '').trim();
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
