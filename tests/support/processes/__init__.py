"""Processes: how they start, as whom, and what they write."""
