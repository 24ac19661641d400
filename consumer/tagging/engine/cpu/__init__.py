"""The engine of a CPU."""
