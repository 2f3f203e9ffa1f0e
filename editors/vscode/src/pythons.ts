/** Where a server may be on this machine, asked of the editor and its Python extensions. */

import * as vscode from 'vscode';

import { PYTHON_NAMES, ownInterpreter } from './environment';
import type { Places } from './finding';
import { pathSetting } from './settings';

/** What we need of ms-python.vscode-python-envs and of ms-python.python. */
interface EnvironmentsApi {
  getEnvironment(scope: vscode.Uri | undefined): Promise<{ execInfo?: { run?: { executable?: string } } } | undefined>;
}
interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
    resolveEnvironment(path: { path: string }): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
  };
}

/** Everything there is to choose a server from. `ownEnvironment` is the folder of our own one. */
export async function places(ownEnvironment: string, log: (message: string) => void): Promise<Places> {
  return {
    programSetting: pathSetting('server.path'),
    interpreterSetting: pathSetting('interpreter'),
    pythonExtension: await selectedInterpreter(log),
    ownEnvironment: ownInterpreter(ownEnvironment),
    pathInterpreters: PYTHON_NAMES.slice(0, 1),
  };
}

/** The interpreter selected for the workspace; empty without a Python extension. */
async function selectedInterpreter(log: (message: string) => void): Promise<string> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  try {
    const environments = await activated<EnvironmentsApi>('ms-python.vscode-python-envs');
    const selected = (await environments?.getEnvironment(folder))?.execInfo?.run?.executable;
    if (selected) {
      return selected;
    }
    const python = (await activated<PythonApi>('ms-python.python'))?.environments;
    const found = await python?.resolveEnvironment(python.getActiveEnvironmentPath(folder));
    return found?.executable.uri?.fsPath ?? '';
  } catch (error) {
    log(`the Python extension could not tell its environment: ${(error as Error).message}`);
    return '';
  }
}

async function activated<T>(id: string): Promise<T | undefined> {
  return (await vscode.extensions.getExtension<T>(id)?.activate()) ?? undefined;
}
