"""The consumer's side."""
