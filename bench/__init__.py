"""Benchmarks that are run from the repository; they are no part of the package."""
