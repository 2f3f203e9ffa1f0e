/** The menu behind the status bar item, and its questions. */

import * as vscode from 'vscode';

import type { Server } from './finding';
import { describe, installedModels } from './models';
import { change, section } from './settings';
import type { Switches } from './switches';

interface Entry extends vscode.QuickPickItem {
  readonly command: string;
}

/** Show what can be done. `missing`: why there is no server, empty when there is one. */
export async function showMenu(switches: Switches, missing: string): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const entries: Entry[] = [];
  if (missing) {
    entries.push(
      { label: '$(cloud-download) Install the server', command: 'santa.installServer' },
      { label: '$(file-zip) Install the server from a wheel…', command: 'santa.installServerFrom' },
    );
  }
  entries.push(
    section().get('enable', true)
      ? { label: '$(circle-slash) Turn off', command: 'santa.toggle' }
      : { label: '$(gift) Turn on', command: 'santa.toggle' },
  );
  if (language) {
    const verb = switches.hasLanguage(language) ? 'off' : 'on';
    entries.push({ label: `$(code) Turn ${verb} for ${language}`, command: 'santa.toggleLanguage' });
  }
  entries.push(
    switches.snoozed
      ? { label: '$(bell) End the snooze', command: 'santa.snooze' }
      : { label: '$(bell-slash) Snooze…', command: 'santa.snooze' },
    { label: '$(package) Choose model…', description: section().get('model', ''), command: 'santa.chooseModel' },
    { label: '$(question) Why was nothing shown?', command: 'santa.explain' },
    { label: '$(debug-restart) Restart server', command: 'santa.restartServer' },
    { label: '$(output) Show log', command: 'santa.showLog' },
    { label: '$(gear) Settings', command: 'santa.settings' },
  );
  const chosen = await vscode.window.showQuickPick(entries, { title: 'Santa' });
  if (chosen?.command === 'santa.settings') {
    await vscode.commands.executeCommand('workbench.action.openSettings', '@ext:santa-lsp.santa-lsp');
  } else if (chosen) {
    await vscode.commands.executeCommand(chosen.command);
  }
}

/** Ask for how long to suggest nothing; ends a snooze that lasts. */
export async function askSnooze(switches: Switches): Promise<void> {
  if (switches.snoozed) {
    switches.snooze(0);
    return;
  }
  const choices = [5, 15, 30, 60].map((minutes) => ({ label: `${minutes} minutes`, minutes }));
  const chosen = await vscode.window.showQuickPick(choices, { title: 'Suggest nothing for' });
  if (chosen) {
    switches.snooze(chosen.minutes);
  }
}

/** Choose among the models of this machine; the choice becomes the setting `santa.model`. */
export async function askModel(server: Server, cwd: string): Promise<void> {
  const current = section().get('model', '');
  const folder: vscode.QuickPickItem = { label: '$(folder-opened) A model folder…' };
  const items = async (): Promise<vscode.QuickPickItem[]> => [
    ...(await installedModels(server, cwd)).map((model) => ({
      label: model.name,
      description: model.name === current ? 'in use' : '',
      detail: describe(model),
    })),
    folder,
  ];
  const chosen = await vscode.window.showQuickPick(items(), {
    title: 'Model',
    placeHolder: 'More come with: santa-lsp models add bigcode/gpt_bigcode-santacoder',
  });
  if (chosen === folder) {
    const picked = await vscode.window.showOpenDialog({
      canSelectFolders: true,
      canSelectFiles: false,
      title: 'A folder with model.bin and santa.json',
    });
    if (picked?.[0]) {
      await change('model', picked[0].fsPath);
    }
  } else if (chosen) {
    await change('model', chosen.label);
  }
}
