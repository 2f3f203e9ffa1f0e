"""Model families: how their prompts are written. Pure: strings and ids in, ids out.

It must not know how a model is computed, where it is stored, or that there is an editor.
"""
