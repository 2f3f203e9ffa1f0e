/** The models on this machine, as the server's own command lists them. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import type { Candidate } from './finding';

export interface InstalledModel {
  readonly name: string;
  /** Number of parameters; 0 when unknown. */
  readonly parameters: number;
  readonly bytes: number;
  readonly languages: readonly string[];
  readonly licence: string;
}

/** Ask `santa-lsp models list --json`. Rejects when the command fails. */
export async function installedModels(server: Candidate, cwd: string): Promise<InstalledModel[]> {
  const args = [...server.args, 'models', 'list', '--json'];
  const { stdout } = await promisify(execFile)(server.command, args, { cwd, windowsHide: true });
  return JSON.parse(stdout) as InstalledModel[];
}

/** One line about a model. */
export function describe(model: InstalledModel): string {
  const parts = [`${Math.round(model.bytes / 1e6)} MB`];
  if (model.parameters > 0) {
    parts.unshift(
      model.parameters >= 1e9
        ? `${(model.parameters / 1e9).toFixed(1)}B parameters`
        : `${(model.parameters / 1e6).toFixed(1)}M parameters`,
    );
  }
  if (model.languages.length > 0) {
    parts.push(model.languages.join(', '));
  }
  return [...parts, model.licence].join(' · ');
}
