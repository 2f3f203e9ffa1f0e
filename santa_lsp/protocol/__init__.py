"""The LSP wire: pygls made to survive real editors. The room `server` adds the handlers.

What pygls 2.1 does not do, and this package does:

* one daemon thread of its own reads the client (`wire`), forgiving about headers and finding its
  way back after a wrong length (`framing`), so that no busy worker can delay a message;
* `initialize` is answered before pygls is even imported (`wire`);
* every request is answered, whatever is wrong with it: -32700, -32600, -32601, -32602, -32002,
  -32603, -32800 (`messages`);
* documents are ours (`documents`): right line ends, edits that cost what they change;
* the process ends when it should, with the status the specification asks for, at once (`loop`);
* no text of the user's ever reaches a log: pygls's loggers, which write whole messages, are
  switched off, and our lines name the method, the id and the error's type and place only.

It must not know of models, settings or completions. `framing`, `wire` and `transports`
are the standard library alone, and nothing is imported here: pygls takes most of a second.
"""
