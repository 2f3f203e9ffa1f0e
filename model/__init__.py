"""Train, evaluate and export SantaCoder-family models (needs `santa-lsp[train]`)."""
