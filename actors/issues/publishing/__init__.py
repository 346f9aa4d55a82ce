"""The issues outside of the database: their file, Git, and other clones."""
