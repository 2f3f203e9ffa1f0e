"""What to complete and what to show: text alone. Standard library, `languages`, `document`.

It must not know of models, tokens, prompts, editors or the protocol, and does no I/O.
"""
