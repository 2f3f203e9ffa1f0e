"""The `santa-lsp` command: one file a sub-command, `main.py` puts them together.

Libraries are imported where a command needs them: `--stdio` must answer an editor at once.
"""
