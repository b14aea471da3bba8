"""The video process: shots, labels and seen text of sampled frames."""
