"""Rigs: what a test puts around a stage, a worker, a page or a sink."""
