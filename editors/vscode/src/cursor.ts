/** Where the cursor goes without an edit: the server works ahead there, before anything is typed. */

import * as vscode from 'vscode';

/** Calls `moved` with the editor whose cursor has moved, or that has been turned to. */
export function watchCursor(moved: (editor: vscode.TextEditor) => void): vscode.Disposable {
  const versions = new WeakMap<vscode.TextDocument, number>();
  return vscode.Disposable.from(
    vscode.window.onDidChangeActiveTextEditor((editor) => {
      if (editor) {
        moved(editor);
      }
    }),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
      const { document } = textEditor;
      const edited = versions.has(document) && versions.get(document) !== document.version;
      versions.set(document, document.version);
      if (!edited) {
        moved(textEditor);
      }
    }),
  );
}
