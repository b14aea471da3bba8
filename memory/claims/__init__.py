"""Claims: dated facts that were said, read by the grammar of English; a view of the log."""
