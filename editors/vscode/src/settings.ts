/** The user's settings, as the extension and as the server need them. */

import * as vscode from 'vscode';

interface Manifest {
  readonly contributes: {
    readonly configuration: readonly { readonly title: string; readonly properties: Record<string, unknown> }[];
  };
}

/** Names of the server's own settings, without `santa.`: the manifest's section "Server". */
export function serverSettings(manifest: Manifest): string[] {
  const section = manifest.contributes.configuration.find((each) => each.title === 'Server');
  return Object.keys(section?.properties ?? {}).map((name) => name.replace(/^santa\./, ''));
}

/** The `santa` section as the server knows it. */
export function serverOptions(names: readonly string[]): Record<string, unknown> {
  const configuration = section();
  return Object.fromEntries(names.map((name) => [name, configuration.get(name)]));
}

/** A path from the settings, `~` and `${workspaceFolder}` replaced. */
export function pathSetting(name: string): string {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
  const home = process.env['HOME'] ?? process.env['USERPROFILE'] ?? '';
  return section()
    .get<string>(name, '')
    .trim()
    .replace(/^~(?=[/\\])/, home)
    .replaceAll('${workspaceFolder}', folder);
}

export function section(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration('santa');
}

/** Change a setting where it is set now: in the workspace if there, else for the user. */
export async function change(name: string, value: unknown): Promise<void> {
  const found = section().inspect(name);
  const target =
    found?.workspaceValue === undefined ? vscode.ConfigurationTarget.Global : vscode.ConfigurationTarget.Workspace;
  await section().update(name, value, target);
}
