"""The engine of a CUDA device."""
