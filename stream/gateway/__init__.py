"""The gateway: the only HTTP listener; people's pages and other programs come in here."""
