"""The issue graph on disk: the published file, its codec, and the working copy in beads.db."""
