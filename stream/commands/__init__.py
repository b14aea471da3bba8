"""People in: one file per command."""
