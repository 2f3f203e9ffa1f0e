"""`santa-lsp bench`: typing sessions replayed against the real server process, and timed.

Knows the server only by its protocol: neither pygls nor an engine is imported here, so that any
language server with inline completion can be replayed against, and model/ can evaluate with it.
"""

#: Of the JSON that `--json` writes and `--compare` reads.
FORMAT = 1


class BenchError(Exception):
    """Something that ends a bench; says what to do."""
