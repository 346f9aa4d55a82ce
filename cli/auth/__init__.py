"""`beadflow auth …`: API keys, tokens, who one is to a server, and why one may do something."""
