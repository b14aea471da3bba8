"""Processes: their loop, their supervisor, clock, logs, metrics and traces."""
