/** Santa's own virtual environment: where it lies and how it is made. Knows nothing of the editor. */

import { rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import * as path from 'node:path';

import { viaInterpreter } from './finding';
import { ProcessFailed, askVersion, run } from './processes';

/** The oldest Python that the server runs on. */
export const LEAST_PYTHON = [3, 11] as const;

/** Names under which a system has Python, best first. */
export const PYTHON_NAMES: readonly string[] =
  process.platform === 'win32' ? ['py', 'python', 'python3'] : ['python3', 'python3.13', 'python3.12', 'python3.11'];

/** Why an installation ended; the message says what to do. */
export class InstallFailed extends Error {}

export interface Installation {
  /** An interpreter that is new enough; see `findPython`. */
  readonly python: string;
  /** Path of a wheel or of a source folder. */
  readonly source: string;
  /** The environment's folder; what is there is replaced. */
  readonly directory: string;
  /** Called with what is being done, for people. */
  readonly report: (step: string) => void;
  /** Called with every line that the programs print. */
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

export function interpreterOf(directory: string): string {
  return process.platform === 'win32'
    ? path.join(directory, 'Scripts', 'python.exe')
    : path.join(directory, 'bin', 'python');
}

/** The environment's interpreter, or an empty string when it has none. */
export function ownInterpreter(directory: string): string {
  const interpreter = interpreterOf(directory);
  return existsSync(interpreter) ? interpreter : '';
}

/** The first of these interpreters that is new enough. Throws InstallFailed. */
export async function findPython(names: readonly string[], cwd: string, signal: AbortSignal): Promise<string> {
  const check = `import sys; sys.exit(sys.version_info < (${LEAST_PYTHON.join(', ')}))`;
  for (const name of names) {
    try {
      await run(name, ['-c', check], cwd, () => undefined, signal);
      return name;
    } catch (error) {
      if (!(error instanceof ProcessFailed)) {
        throw error;
      }
    }
  }
  throw new InstallFailed(
    `No Python ${LEAST_PYTHON.join('.')} or newer was found (looked for ${names.join(', ')}). ` +
      'Install it from python.org or your system, then try again.',
  );
}

/**
 * Make the environment and install the server into it; resolves to its interpreter.
 * Throws InstallFailed. On failure, and when `signal` ends it, nothing is left behind.
 */
export async function install(plan: Installation): Promise<string> {
  const { directory, signal } = plan;
  const parent = path.dirname(directory);
  const interpreter = interpreterOf(directory);
  try {
    await rm(directory, { recursive: true, force: true });
    plan.report('making a virtual environment');
    await run(plan.python, ['-m', 'venv', directory], parent, plan.log, signal);
    plan.report('downloading what the server needs');
    const onLine = (line: string): void => {
      plan.log(line);
      const step = pipStep(line);
      if (step) {
        plan.report(step);
      }
    };
    const pip = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
    await run(interpreter, [...pip, plan.source], parent, onLine, signal);
    plan.report('checking the server');
    await askVersion(viaInterpreter('the new environment', interpreter), parent);
    return interpreter;
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw signal.aborted ? error : new InstallFailed(advice((error as Error).message));
  }
}

/** What a line of pip's output says is being done, for people; undefined for other lines. */
export function pipStep(line: string): string | undefined {
  const [, verb, what] = /^\s*(Collecting|Downloading|Building wheel for|Installing) (.*)$/.exec(line) ?? [];
  if (verb === 'Installing') {
    return 'installing';
  }
  const name = what?.split(/[\s<>=!~;[(]/)[0]?.split('/').at(-1);
  return verb && name ? `${verb === 'Building wheel for' ? 'building' : verb.toLowerCase()} ${name}` : undefined;
}

/** A failure in words that say what to do. */
export function advice(failure: string): string {
  if (/ensurepip|No module named '?(venv|pip)/.test(failure)) {
    return 'Python cannot make virtual environments here. On Debian and Ubuntu: sudo apt install python3-venv.';
  }
  if (/ConnectionError|NewConnectionError|No matching distribution|Temporary failure|Could not find a version/.test(failure)) {
    return `A package could not be downloaded; is the network reachable? (${failure})`;
  }
  if (/No space left/.test(failure)) {
    return 'The disk is full; the server needs about 400 MB.';
  }
  return failure;
}
