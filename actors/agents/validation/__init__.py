"""Validation: does a commit do what was asked, shown by tests, review, coverage and criteria."""
