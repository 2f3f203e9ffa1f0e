"""Inline code completion that runs on your own machine."""

__version__ = "0.1.0"

#: The name of the model that comes with the package.
EMBEDDED = "santa-mini"
