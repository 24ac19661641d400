"""Processes that the benchmarks measure, or measure with."""
