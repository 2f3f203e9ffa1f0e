/** The language client: what is sent to the server, and what becomes of its end. */

import * as vscode from 'vscode';
import { CloseAction, DidChangeConfigurationNotification, ErrorAction, LanguageClient } from 'vscode-languageclient/node';
import type { ClientCapabilities, LanguageClientOptions, StaticFeature } from 'vscode-languageclient/node';

import type { Server } from './finding';
import { Restarts } from './restarts';
import { section, serverOptions } from './settings';
import type { ServerStatus } from './statusText';
import type { StatusBar } from './statusBar';
import { Streaming } from './streaming';
import type { Switches } from './switches';

/** Asks the server for the notification `santa/status`. */
class WantsStatus implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const experimental = (capabilities.experimental ?? {}) as Record<string, unknown>;
    capabilities.experimental = { ...experimental, santa: { status: true } };
  }
  initialize(): void {}
  getState(): { kind: 'static' } {
    return { kind: 'static' };
  }
  clear(): void {}
}

export interface Surroundings {
  readonly log: vscode.LogOutputChannel;
  readonly statusBar: StatusBar;
  readonly switches: Switches;
  /** Names of the server's settings; see settings.serverSettings. */
  readonly settingNames: readonly string[];
  /** Where the server runs: a folder in which nobody puts Python modules. */
  readonly cwd: string;
  /** The server ended and is not started again by itself. */
  readonly onGone: () => void;
}

/** A client for this server, not yet started, and what grows completions for it. */
export function makeClient(
  server: Server,
  around: Surroundings,
): { readonly client: LanguageClient; readonly streaming: Streaming } {
  const { log, statusBar, switches, settingNames, cwd } = around;
  const restarts = new Restarts();
  const options: LanguageClientOptions = {
    documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }, { scheme: 'vscode-notebook-cell' }],
    outputChannel: log,
    traceOutputChannel: log,
    initializationOptions: () => serverOptions(settingNames),
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        statusBar.update({ status: undefined, progress: '' });
        if (restarts.allow(Date.now())) {
          void tell('The Santa server ended unexpectedly and was restarted.');
          return { action: CloseAction.Restart, handled: true };
        }
        around.onGone();
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
    middleware: {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        if (switches.off(document)) {
          return [];
        }
        const done = statusBar.thinks();
        try {
          return section().get('streaming', true)
            ? await streaming.provide(document, position, context, token)
            : await next(document, position, context, token);
        } finally {
          done();
        }
      },
      handleWorkDoneProgress: (token, params, next) => {
        if (params.kind === 'end') {
          statusBar.update({ progress: '' });
        } else if (params.percentage !== undefined) {
          statusBar.update({ progress: `${params.percentage}%` });
        }
        next(token, params);
      },
      workspace: {
        configuration: (params) => params.items.map(() => serverOptions(settingNames)),
      },
    },
  };
  const executable = { command: server.command, args: [...server.args, '--stdio'], options: { cwd } };
  const client = new LanguageClient('santa', 'Santa', executable, options);
  const streaming = new Streaming(client);
  client.registerFeature(new WantsStatus());
  client.onNotification('santa/status', (status: ServerStatus) => {
    switches.follow(status.languages ?? ['*']);
    statusBar.update({ status });
  });
  return { client, streaming };
}

/** Send the settings as they are now. */
export function sendSettings(client: LanguageClient, names: readonly string[]): Promise<void> {
  return client.sendNotification(DidChangeConfigurationNotification.type, { settings: { santa: serverOptions(names) } });
}

/** A message with the log one click away. */
export async function tell(message: string, ...actions: string[]): Promise<string | undefined> {
  const log = 'Show Log';
  const chosen = await vscode.window.showWarningMessage(message, ...actions, log);
  if (chosen === log) {
    await vscode.commands.executeCommand('santa.showLog');
  }
  return chosen;
}
