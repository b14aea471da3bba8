"""What goes on while it listens: turns of a talk, and questions that stand."""
