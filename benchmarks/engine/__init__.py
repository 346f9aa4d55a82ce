"""The durable engine: how much it does in a second, how it comes back, and what it keeps."""
