"""Forgetting: what an owner names goes, everywhere, and stays away."""
