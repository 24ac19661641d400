"""Judges, before the first message, whether a worker can do its work: facts in, findings out."""
