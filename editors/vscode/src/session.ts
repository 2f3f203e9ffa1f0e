/** The running server: found, started, started again, stopped. One at a time. */

import { mkdir } from 'node:fs/promises';
import * as path from 'node:path';

import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import { State } from 'vscode-languageclient/node';

import { makeClient, sendSettings, tell } from './client';
import type { Server } from './finding';
import { ServerMissing, candidates, findServer } from './finding';
import { bundledVersion, installWithProgress, offerInstall } from './installing';
import { askVersion } from './processes';
import { places } from './pythons';
import type { StatusBar } from './statusBar';
import type { Streaming } from './streaming';
import type { Switches } from './switches';

export class Session {
  private client: LanguageClient | undefined;
  private streaming: Streaming | undefined;
  private changing: Promise<void> = Promise.resolve();
  /** The server that runs, or ran last. */
  server: Server | undefined;
  /** A folder of ours on this machine. */
  readonly storage: string;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly statusBar: StatusBar,
    private readonly switches: Switches,
    private readonly settingNames: readonly string[],
  ) {
    this.storage = context.globalStorageUri.fsPath;
  }

  get environment(): string {
    return path.join(this.storage, 'server');
  }

  /** Look for a server and start it, in place of the one that runs. Never rejects. */
  start(): Promise<void> {
    this.changing = this.changing.then(() => this.replace());
    return this.changing;
  }

  async stop(): Promise<void> {
    const { client, streaming } = this;
    this.client = this.streaming = undefined;
    streaming?.dispose();
    if (client && client.state !== State.Stopped) {
      await client.dispose().catch((error: Error) => this.log.warn(`the server did not stop well: ${error.message}`));
    }
  }

  /** Install the server, then start it. */
  async install(source: string): Promise<void> {
    await this.stop(); // it may run from the folder that is replaced
    this.statusBar.update({ missing: '', status: undefined, progress: 'The server is being installed' });
    await installWithProgress(source, this.environment, this.log);
    await this.start();
  }

  /** What the server says to a command of its own; undefined when none runs. */
  async ask<T>(command: string): Promise<T | undefined> {
    const { client } = this;
    return client?.state === State.Running
      ? await client.sendRequest<T>('workspace/executeCommand', { command, arguments: [] })
      : undefined;
  }

  /** Show no more of a suggestion that still grows. */
  async dismiss(): Promise<void> {
    this.streaming?.stop();
    await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
  }

  /** Tell the server where the cursor is, as far as it concerns the server. */
  async sendCursor(editor: vscode.TextEditor | undefined): Promise<void> {
    const { client } = this;
    if (editor && client?.state === State.Running && !this.switches.off(editor.document)) {
      await client.sendNotification('santa/cursor', {
        textDocument: { uri: client.code2ProtocolConverter.asUri(editor.document.uri) },
        position: client.code2ProtocolConverter.asPosition(editor.selection.active),
      });
    }
  }

  async sendSettings(): Promise<void> {
    if (this.client?.state === State.Running) {
      await sendSettings(this.client, this.settingNames);
    }
  }

  private async replace(): Promise<void> {
    await this.stop();
    await mkdir(this.storage, { recursive: true });
    this.statusBar.update({ missing: '', status: undefined, progress: '' });
    const among = candidates(await places(this.environment, (message) => this.log.warn(message)));
    try {
      this.server = await findServer(among, (candidate) => askVersion(candidate, this.storage));
    } catch (error) {
      this.giveUp(error as Error);
      return;
    }
    const { command, version, origin } = this.server;
    this.log.info(`santa-lsp ${version}: ${command} (${origin})`);
    void vscode.commands.executeCommand('setContext', 'santa.serverFound', true);
    const made = makeClient(this.server, {
      log: this.log,
      statusBar: this.statusBar,
      switches: this.switches,
      settingNames: this.settingNames,
      cwd: this.storage,
      onGone: () => void this.offerRestart(),
    });
    this.client = made.client;
    this.streaming = made.streaming;
    try {
      await made.client.start();
    } catch (error) {
      this.giveUp(error as Error);
      return;
    }
    void this.sendCursor(vscode.window.activeTextEditor);
    void this.offerUpdate(this.server);
  }

  private giveUp(error: Error): void {
    this.log.error(error.message);
    this.statusBar.update({ missing: error.message });
    if (error instanceof ServerMissing) {
      void vscode.commands.executeCommand('setContext', 'santa.serverFound', false);
      void offerInstall(error.message, error.chosen).then(async (wanted) => {
        if (wanted) {
          await vscode.commands.executeCommand('santa.installServer');
        }
      });
    } else {
      void tell(`The Santa server did not start: ${error.message}`);
    }
  }

  private async offerRestart(): Promise<void> {
    this.statusBar.update({ missing: 'it ended twice within minutes' });
    const again = 'Restart';
    if ((await tell('The Santa server ended again and was not restarted.', again)) === again) {
      await this.start();
    }
  }

  /** Our own environment is as old as the extension that made it. */
  private async offerUpdate(server: Server): Promise<void> {
    const bundled = await bundledVersion(this.context.extensionPath);
    if (!server.command.startsWith(this.environment) || !bundled || bundled === server.version) {
      return;
    }
    const update = 'Update';
    const message = `Santa's server is version ${server.version}; this extension brings ${bundled}.`;
    if ((await vscode.window.showInformationMessage(message, update)) === update) {
      await vscode.commands.executeCommand('santa.installServer');
    }
  }
}
