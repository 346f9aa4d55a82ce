"""The issue graph at ten and at a hundred thousand issues."""
