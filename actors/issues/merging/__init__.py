"""Two versions of the issues become one: rows, files, and what came of it."""
