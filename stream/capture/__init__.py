"""Media in: sources, sampling and the ring. PyAV lives here and nowhere else."""
