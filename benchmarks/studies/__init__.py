"""Finished experiments. CI does not run them."""
