"""Fuzzing of everything that reads a stranger's bytes, by coverage: `make fuzz-decoders`."""
