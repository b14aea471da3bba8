"""Snapshots of a store: taken while it runs, verified byte for byte, restored whole or not at all.

A snapshot is a folder: the log as SQLite's `VACUUM INTO` gives it at one commit, the media that its
rows name, and a manifest with the size and sha256 of every file. Indexes are views and left out: the
first start makes them. What was forgotten since it was taken stays forgotten: a restore takes it out
again by the tombstones of the store that it came from, where that can be found, and of the one that
it replaces, before anything of it can be asked for.
"""
