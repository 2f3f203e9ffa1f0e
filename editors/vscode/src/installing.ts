/** Installing the server: the question, the progress, the result. */

import { mkdir, readdir } from 'node:fs/promises';
import * as path from 'node:path';

import * as vscode from 'vscode';

import { InstallFailed, PYTHON_NAMES, findPython, install } from './environment';
import { pathSetting } from './settings';

const INSTALL = 'Install';
const INTERPRETER = 'Set Interpreter';

/** Say that there is no server, and offer what helps. Resolves to whether to install one. */
export async function offerInstall(reason: string, chosen: boolean): Promise<boolean> {
  const message = chosen
    ? `Santa's server cannot be started: ${reason}. Correct the setting, or clear it.`
    : 'Santa needs its server, santa-lsp, which is not installed yet. Install it into an environment of its own?';
  const action = chosen ? 'Open Settings' : INSTALL;
  const answer = await vscode.window.showWarningMessage(message, action, ...(chosen ? [] : [INTERPRETER]));
  if (answer === 'Open Settings') {
    await vscode.commands.executeCommand('workbench.action.openSettings', 'santa.interpreter');
  } else if (answer === INTERPRETER) {
    await askInterpreter();
  }
  return answer === INSTALL;
}

async function askInterpreter(): Promise<void> {
  const picked = await vscode.window.showOpenDialog({ title: 'A Python interpreter that has santa-lsp' });
  if (picked?.[0]) {
    const configuration = vscode.workspace.getConfiguration('santa');
    await configuration.update('interpreter', picked[0].fsPath, vscode.ConfigurationTarget.Global);
  }
}

/** The wheel or folder to install: the setting's, else the wheel in the extension. */
export async function installSource(extensionPath: string): Promise<string> {
  return pathSetting('install.source') || (await bundledWheel(extensionPath));
}

async function bundledWheel(extensionPath: string): Promise<string> {
  const folder = path.join(extensionPath, 'bundled');
  const wheel = (await readdir(folder).catch(() => [])).find((name) => name.endsWith('.whl'));
  if (!wheel) {
    throw new InstallFailed('This build of the extension has no wheel in it. Set santa.install.source to one.');
  }
  return path.join(folder, wheel);
}

/** Version of the server in the extension's wheel; empty when it has none. */
export async function bundledVersion(extensionPath: string): Promise<string> {
  const wheel = await bundledWheel(extensionPath).catch(() => '');
  return path.basename(wheel).split('-')[1] ?? '';
}

/** Let the user choose a wheel; undefined when they choose none. */
export async function askWheel(): Promise<string | undefined> {
  const picked = await vscode.window.showOpenDialog({
    filters: { 'Python wheel': ['whl'] },
    title: 'A wheel of santa-lsp',
  });
  return picked?.[0]?.fsPath;
}

/**
 * Install with progress that can be cancelled; says how it ended.
 * Resolves to whether there is a server now.
 */
export async function installWithProgress(
  source: string,
  directory: string,
  log: vscode.LogOutputChannel,
): Promise<boolean> {
  const options = { location: vscode.ProgressLocation.Notification, title: 'Installing Santa', cancellable: true };
  try {
    await vscode.window.withProgress(options, async (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      const parent = path.dirname(directory);
      await mkdir(parent, { recursive: true });
      await install({
        python: await findPython(PYTHON_NAMES, parent, stop.signal),
        source,
        directory,
        report: (step) => {
          log.info(step);
          progress.report({ message: `${step}…` });
        },
        log: (line) => log.info(line),
        signal: stop.signal,
      });
    });
  } catch (error) {
    if ((error as Error).name !== 'AbortError') {
      log.error(`the installation failed: ${(error as Error).message}`);
      const answer = await vscode.window.showErrorMessage(
        `Santa's server was not installed. ${(error as Error).message}`,
        'Try Again',
        'Show Log',
      );
      if (answer) {
        await vscode.commands.executeCommand(answer === 'Try Again' ? 'santa.installServer' : 'santa.showLog');
      }
    }
    return false;
  }
  return true;
}
