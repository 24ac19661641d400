"""Tiny models and tokenizers, one that others trained, and texts for them."""
