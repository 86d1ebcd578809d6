"""The queries of `imdsv2 callers`, executed."""
