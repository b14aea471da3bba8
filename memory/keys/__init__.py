"""Keys and their index, a cache of the log. FAISS lives here."""
