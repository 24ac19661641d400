"""Bytes to articles and back."""
