"""Questions to cues, evidence to answers."""
