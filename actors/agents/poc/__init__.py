"""The POC agent: tries an idea out on a branch of its own, and says what came of it."""
