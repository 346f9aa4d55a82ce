"""Answers about the issues, from a graph in memory that follows the journal."""
