"""The one error of converting."""

from __future__ import annotations


class ConvertError(Exception):
    """A checkpoint that cannot be converted; says why and what to do."""
