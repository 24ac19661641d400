"""Text to tokens, words and windows."""
