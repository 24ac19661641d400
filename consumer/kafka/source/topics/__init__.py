"""The input topics: which there are, whether they are the same as before, where they end."""
