"""The extension in a real VS Code: a workbench in a browser, the built .vsix, the real server."""
