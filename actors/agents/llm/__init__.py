"""The llm agent: has a language model answer, with the repository at hand."""
