"""Inline code completion on one's own machine: an LSP 3.18 server over a SantaCoder model."""

__version__ = "0.1.0"
