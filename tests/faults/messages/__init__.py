"""Odd and bad messages for the long runs, and what must become of each."""
