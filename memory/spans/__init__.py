"""The time tree, a view of the log."""
