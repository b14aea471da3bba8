"""Places: where what was perceived was perceived, known from the pictures alone."""
