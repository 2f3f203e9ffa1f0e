"""The LSP wire: pygls made to survive real editors. The room `server` adds the handlers.

This package adds to pygls 2.1:

* a daemon thread of its own reads the client (`wire`), so that no busy worker delays a message;
* the reader accepts odd headers, and finds the next message after a wrong length (`framing`);
* `initialize` is answered before pygls is imported (`wire`);
* every request is answered, also an invalid one: -32700, -32600, -32601, -32602, -32002, -32603,
  -32800 (`messages`);
* documents are ours (`documents`): LSP's line ends, and edits whose cost depends on the edit alone;
* the process ends at once, with the status that the specification asks for (`loop`);
* no text of the user's reaches a log: pygls's loggers, which write whole messages, are switched
  off, and our lines name only the method, the id, and the error's type and source line.

It must not know of models, settings or completions. `framing`, `wire` and `transports` need the
standard library alone, and nothing is imported here: pygls takes most of a second.
"""
