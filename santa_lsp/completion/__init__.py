"""From the text around a cursor to the text to show. Standard library, `languages`, `document`.

This room must not know of models, tokens, prompts, editors or the protocol, and does no I/O.
"""
