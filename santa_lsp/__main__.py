"""`python -m santa_lsp` is `santa-lsp`: editors can start the server of any interpreter by it."""

from santa_lsp.commands.main import main

main()
