/** The item in the status bar. */

import * as vscode from 'vscode';

import type { Activity } from './statusText';
import { statusText } from './statusText';

/** Quicker answers than this do not make the item flicker (milliseconds). */
const THINKING_AFTER_MS = 150;

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('santa.status', vscode.StatusBarAlignment.Right, 100);
  private activity: Activity = { off: '', missing: '', status: undefined, progress: '', thinking: false };
  private waiting = 0;

  constructor() {
    this.item.name = 'Santa';
    this.item.command = 'santa.menu';
    this.render();
    this.item.show();
  }

  get status(): Activity['status'] {
    return this.activity.status;
  }

  get missing(): string {
    return this.activity.missing;
  }

  update(change: Partial<Activity>): void {
    this.activity = { ...this.activity, ...change };
    this.render();
  }

  /** A completion is asked for; call what is returned when it has come. */
  thinks(): () => void {
    this.waiting += 1;
    const timer = setTimeout(() => this.update({ thinking: true }), THINKING_AFTER_MS);
    return () => {
      clearTimeout(timer);
      this.waiting -= 1;
      if (this.waiting === 0 && this.activity.thinking) {
        this.update({ thinking: false });
      }
    };
  }

  dispose(): void {
    this.item.dispose();
  }

  private render(): void {
    const { text, tooltip, alarming } = statusText(this.activity);
    this.item.text = text;
    this.item.tooltip = new vscode.MarkdownString(`**Santa**\n\n${tooltip}\n\nClick for the menu.`);
    this.item.backgroundColor = alarming ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.item.accessibilityInformation = { label: `Santa: ${tooltip.replaceAll('\n\n', ', ')}` };
  }
}
