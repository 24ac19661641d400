"""Bounded runs: where one begins and ends in each partition, and how far it is."""
