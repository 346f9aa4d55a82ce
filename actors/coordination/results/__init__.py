"""Results of workflows in versions, and artifacts: files that came of them."""
