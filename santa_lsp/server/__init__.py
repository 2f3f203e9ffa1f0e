"""The LSP edge, and when things are computed.

`handlers.py` has one short function for each LSP method, `requests.py` what happens to one
completion request. Nothing is imported here: pygls takes most of a second, and `greeting.py` has to
answer an editor before that.
"""
