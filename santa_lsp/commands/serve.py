"""`santa-lsp [--stdio | --tcp | --ws]`: serve an editor."""

from __future__ import annotations

import argparse
import sys

from santa_lsp.commands.options import UsageError, read_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """The transports; without any, stdin and stdout."""
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="serve on stdin/stdout (default)")
    transport.add_argument("--tcp", metavar="HOST:PORT", help="serve one client on a TCP port")
    transport.add_argument("--ws", metavar="HOST:PORT", help="serve one client on a WebSocket")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Serve one client until it leaves. Raises SettingsError, UsageError."""
    from santa_lsp.protocol.transports import accept_tcp, accept_websocket, open_stdio
    from santa_lsp.server.greeting import greet

    found, problems = read_settings(arguments)
    try:
        if arguments.tcp:
            wire = accept_tcp(*_address(arguments.tcp), greet)
        elif arguments.ws:
            wire = accept_websocket(*_address(arguments.ws), greet)
        else:
            wire = open_stdio(greet)
    except ImportError:
        sys.exit("santa-lsp: --ws needs the package websockets; run pip install 'santa-lsp[ws]'")
    except OSError as error:
        sys.exit(f"santa-lsp: cannot listen there: {error.strerror}; choose another address")
    # Imported late: it takes most of a second, and the client's `initialize` is answered before.
    from santa_lsp.server.handlers import serve

    serve(found, problems, wire, load_engine=arguments.load_engine)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"expected HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)
