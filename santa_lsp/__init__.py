"""Inline code completion on the user's own machine: an LSP 3.18 server over a SantaCoder-family model."""

__version__ = "0.1.0"
