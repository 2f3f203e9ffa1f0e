"""`santa-lsp bench`: replays typing sessions against the real server process, and times them.

It knows the server by the protocol alone, and imports neither pygls nor an engine. So it can
measure any language server with inline completion, and model/ can evaluate with it.
"""

#: The version of the JSON that `--json` writes and `--compare` reads.
FORMAT = 1


class BenchError(Exception):
    """An error that ends a bench. The message names the remedy."""
