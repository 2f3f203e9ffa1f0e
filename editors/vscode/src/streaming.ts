/**
 * A completion that grows on the screen while it is computed.
 *
 * The server sends the grown item under a partialResultToken. The editor takes one answer for a
 * request, so a longer text is shown by asking it to ask again: that request is answered with
 * what has arrived. `hide` comes first, as a suggestion that is shown is not replaced.
 */

import * as vscode from 'vscode';
import { InlineCompletionRequest, ProgressType } from 'vscode-languageclient/node';
import type { InlineCompletionItem, InlineCompletionParams, LanguageClient } from 'vscode-languageclient/node';

import { Pace } from './pace';

type Items = vscode.InlineCompletionItem[];

const partial = new ProgressType<{ items: InlineCompletionItem[] }>();

/** One completion that is being computed, and where it stands. */
interface Growth {
  readonly place: string;
  readonly document: vscode.TextDocument;
  readonly cancel: vscode.CancellationTokenSource;
  items: Items;
  shown: boolean;
  /** Whether the editor is asked to ask again; anybody else's request is a new one. */
  refreshing: boolean;
}

export class Streaming implements vscode.Disposable {
  private growth: Growth | undefined;
  private requests = 0;

  constructor(private readonly client: LanguageClient) {}

  /** Answer a request with the first piece worth showing; the rest comes through `refresh`. */
  provide(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.InlineCompletionContext,
    token: vscode.CancellationToken,
  ): Promise<Items> {
    const place = placeOf(document, position);
    if (this.growth?.refreshing && this.growth.place === place) {
      this.growth.refreshing = false;
      return Promise.resolve(this.growth.items);
    }
    this.stop();
    const partialResultToken = `santa-completion-${++this.requests}`;
    const params: InlineCompletionParams = {
      ...this.client.code2ProtocolConverter.asInlineCompletionParams(document, position, context),
      partialResultToken,
    };
    const cancel = new vscode.CancellationTokenSource();
    const growth: Growth = { place, document, cancel, items: [], shown: false, refreshing: false };
    this.growth = growth;
    return new Promise((resolve) => {
      const pace = new Pace(Date.now());
      const show = (items: Items): void => {
        growth.items = items;
        if (growth.shown) {
          void this.refresh(growth);
        } else {
          growth.shown = true;
          resolve(items);
        }
      };
      // Once something is shown the editor has its answer, and its token is of no more use.
      const cancelled = token.onCancellationRequested(() => {
        if (!growth.shown) {
          cancel.cancel();
        }
      });
      const pieces = this.client.onProgress(partial, partialResultToken, (value) => {
        const text = value.items.map((item) => asText(item.insertText)).join('\0');
        if (this.stillWanted(growth) && pace.due(text, Date.now())) {
          void vscode.commands.executeCommand('setContext', 'santa.growing', true);
          show(this.convert(value.items));
        }
      });
      this.client
        .sendRequest(InlineCompletionRequest.type, params, cancel.token)
        .then(
          (result) => {
            const items = this.convert(Array.isArray(result) ? result : (result?.items ?? []));
            if (!growth.shown || (this.stillWanted(growth) && longest(items) > longest(growth.items))) {
              show(items);
            }
          },
          () => resolve([]), // cancelled, or told by the client already
        )
        .finally(() => {
          pieces.dispose();
          cancelled.dispose();
          void vscode.commands.executeCommand('setContext', 'santa.growing', false);
        });
    });
  }

  /** Ask for no more of what is growing. */
  stop(): void {
    this.growth?.cancel.cancel();
    this.growth = undefined;
  }

  dispose(): void {
    this.stop();
  }

  private async refresh(growth: Growth): Promise<void> {
    await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
    if (this.stillWanted(growth)) {
      growth.refreshing = true;
      await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger');
    }
  }

  /** Whether the cursor still is where the completion belongs; if not, the server may stop. */
  private stillWanted(growth: Growth): boolean {
    const editor = vscode.window.activeTextEditor;
    const wanted =
      this.growth === growth &&
      editor?.document === growth.document &&
      placeOf(growth.document, editor.selection.active) === growth.place;
    if (!wanted) {
      growth.cancel.cancel();
    }
    return wanted;
  }

  private convert(items: readonly InlineCompletionItem[]): Items {
    return items.map((item) => this.client.protocol2CodeConverter.asInlineCompletionItem(item));
  }
}

function placeOf(document: vscode.TextDocument, position: vscode.Position): string {
  return `${document.uri} ${document.version} ${position.line}:${position.character}`;
}

function asText(text: InlineCompletionItem['insertText']): string {
  return typeof text === 'string' ? text : text.value;
}

function longest(items: Items): number {
  return Math.max(0, ...items.map((item) => (typeof item.insertText === 'string' ? item.insertText.length : 0)));
}
