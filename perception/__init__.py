"""What is seen and heard becomes observations."""
