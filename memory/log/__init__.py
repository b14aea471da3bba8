"""The log, which is the truth: observations, acts, tombstones."""
