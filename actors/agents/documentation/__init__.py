"""Documentation: pages from code, what is not described, what is wrong, and the patch for it."""
