"""Recall: cue to evidence."""
