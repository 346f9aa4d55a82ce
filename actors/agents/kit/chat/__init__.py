"""Asks a language model over the chat-completions protocol, which every vendor speaks."""
