"""The command agent: makes a headless coding program, or any command, a worker."""
