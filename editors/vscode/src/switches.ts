/** Whether Santa suggests: the switch for everything, the languages, and the snooze. */

import * as vscode from 'vscode';

import { change, section } from './settings';

export class Switches implements vscode.Disposable {
  private snoozedUntil = 0;
  private alarm: NodeJS.Timeout | undefined;
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  /** The languages of the served model, as the server said last. */
  private served: readonly string[] = ['*'];

  /** Why nothing is suggested in a document, for people; empty when Santa is on. */
  off(document: vscode.TextDocument | undefined): string {
    if (!section().get('enable', true)) {
      return 'turned off in the settings';
    }
    if (this.snoozed) {
      const time = new Date(this.snoozedUntil).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
      return `snoozed until ${time}`;
    }
    if (document && !this.hasLanguage(document.languageId)) {
      return `not turned on for ${document.languageId}`;
    }
    return '';
  }

  get snoozed(): boolean {
    return Date.now() < this.snoozedUntil;
  }

  /** The served model knows these: the setting `auto` follows it. */
  follow(languages: readonly string[]): void {
    this.served = languages;
    this.changed.fire();
  }

  hasLanguage(languageId: string): boolean {
    const wanted = this.languages();
    return ['*', languageId, languageId.replace(/react$/, '')].some((each) => wanted.includes(each));
  }

  private languages(): readonly string[] {
    const set = section().get<string | string[]>('languages', 'auto');
    return typeof set === 'string' ? this.served : set;
  }

  async toggle(): Promise<void> {
    await change('enable', !section().get('enable', true));
  }

  /** Turn one language on or off. With `*` in the list there is nothing to take out but that. */
  async toggleLanguage(languageId: string): Promise<void> {
    const languages = this.languages();
    const without = languages.filter((each) => each !== languageId && each !== '*');
    await change('languages', this.hasLanguage(languageId) ? without : [...languages, languageId]);
  }

  /** Suggest nothing for a while; 0 ends it. */
  snooze(minutes: number): void {
    clearTimeout(this.alarm);
    this.snoozedUntil = minutes ? Date.now() + minutes * 60_000 : 0;
    this.alarm = minutes ? setTimeout(() => this.changed.fire(), minutes * 60_000 + 100) : undefined;
    this.changed.fire();
  }

  dispose(): void {
    clearTimeout(this.alarm);
    this.changed.dispose();
  }
}
