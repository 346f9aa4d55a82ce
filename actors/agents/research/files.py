"""The files of a repository: what the room of all agents has for them."""

from actors.agents.kit.files import Listing, Skips, git, list_files, read_file

__all__ = ["Listing", "Skips", "git", "list_files", "read_file"]
