"""Training, fine-tuning, evaluating and exporting SantaCoder-family models (needs `santa-lsp[train]`)."""
