"""The one writer of the store: commits, consolidates, recalls."""
