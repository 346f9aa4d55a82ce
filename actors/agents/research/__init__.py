"""Research: which library should this project use, with evidence for every claim."""
