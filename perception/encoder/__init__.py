"""The encoder process: the embedding models, questions first."""
