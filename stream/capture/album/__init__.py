"""An album as it lies in a folder: its pictures, when and where they were taken, and which are alike."""
