/** Where the editor comes in: the parts are made, the commands registered, the server started. */

import * as vscode from 'vscode';

import { watchCursor } from './cursor';
import { askWheel, installSource } from './installing';
import { askModel, askSnooze, showMenu } from './menu';
import { Session } from './session';
import { serverSettings } from './settings';
import { StatusBar } from './statusBar';
import { Switches } from './switches';

const GREETED = 'greeted';
const WALKTHROUGH = 'santa-lsp.santa-lsp#start';
/** A change of these needs another process. */
const PROCESS_SETTINGS = ['santa.interpreter', 'santa.server.path'];

let session: Session | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Santa', { log: true });
  const statusBar = new StatusBar();
  const switches = new Switches();
  const settingNames = serverSettings(context.extension.packageJSON);
  const running = new Session(context, log, statusBar, switches, settingNames);
  session = running;

  const showWhetherOff = (): void => {
    statusBar.update({ off: switches.off(vscode.window.activeTextEditor?.document) });
  };
  const install = async (source: string | undefined): Promise<void> => {
    if (source) {
      await running.install(source);
    }
  };
  const commands: Record<string, () => unknown> = {
    'santa.menu': () => showMenu(switches, statusBar.missing),
    'santa.toggle': () => switches.toggle(),
    'santa.toggleLanguage': () => toggleLanguage(switches),
    'santa.snooze': () => askSnooze(switches),
    'santa.chooseModel': () => (running.server ? askModel(running.server, running.storage) : noServer()),
    'santa.explain': () => explain(running, switches),
    'santa.restartServer': () => running.start(),
    'santa.showLog': () => log.show(),
    'santa.installServer': async () => install(await installSource(context.extensionPath)),
    'santa.installServerFrom': async () => install(await askWheel()),
    'santa.dismiss': () => running.dismiss(),
  };
  for (const [name, act] of Object.entries(commands)) {
    context.subscriptions.push(vscode.commands.registerCommand(name, act));
  }
  context.subscriptions.push(
    log,
    statusBar,
    switches,
    switches.onDidChange(showWhetherOff),
    vscode.window.onDidChangeActiveTextEditor(showWhetherOff),
    watchCursor((editor) => void running.sendCursor(editor)),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (PROCESS_SETTINGS.some((name) => event.affectsConfiguration(name))) {
        void running.start();
      } else if (settingNames.some((name) => event.affectsConfiguration(`santa.${name}`))) {
        void running.sendSettings();
      }
      showWhetherOff();
    }),
  );
  showWhetherOff();
  void running.start();
  void greet(context);
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}

/** The walkthrough opens once, by itself, unless the user wants none to. */
async function greet(context: vscode.ExtensionContext): Promise<void> {
  const welcome = vscode.workspace.getConfiguration('workbench.welcomePage.walkthroughs');
  if (welcome.get('openOnInstall', true) && !context.globalState.get(GREETED)) {
    await context.globalState.update(GREETED, true);
    await vscode.commands.executeCommand('workbench.action.openWalkthrough', WALKTHROUGH, false);
  }
}

async function toggleLanguage(switches: Switches): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language) {
    await switches.toggleLanguage(language);
  } else {
    await vscode.window.showInformationMessage('Open a file first: Santa is turned on or off for its language.');
  }
}

/** Why nothing was shown: our own reason first, then the server's. */
async function explain(running: Session, switches: Switches): Promise<void> {
  const off = switches.off(vscode.window.activeTextEditor?.document);
  const why = off ? `Santa is off: ${off}` : await running.ask<string>('santa.why');
  await (why ? vscode.window.showInformationMessage(`Santa: ${why}.`) : noServer());
}

async function noServer(): Promise<void> {
  await vscode.window.showInformationMessage('Santa has no server running; its menu in the status bar says why.');
}
