"""A session of `imdsv2` on real terminals, from the scan to the undo."""
