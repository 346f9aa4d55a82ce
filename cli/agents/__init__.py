"""`beadflow agent …`: which agents there are, what they do, and whether they take work."""
