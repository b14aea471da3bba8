"""Samples to voice activity and speech."""
