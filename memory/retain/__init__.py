"""Retention: what is let go when a budget is spent, in which order, and why."""
