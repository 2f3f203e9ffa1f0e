"""The LSP edge: handlers, the policy of a request, prefetching.

`handlers.py` has one short function for each LSP method; `requests.py` tells the whole story of one
completion request. Nothing is imported here: pygls takes most of a second, and `greeting.py` has to
answer an editor before that.
"""
