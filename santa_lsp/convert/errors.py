"""The one error of converting."""

from __future__ import annotations

from santa_lsp.models import ModelError


class ConvertError(ModelError):
    """A checkpoint that cannot become a model; says why and what to do."""
