"""Plain SQLite, files and Git. No actor lives here, and nothing here knows of HTTP."""
