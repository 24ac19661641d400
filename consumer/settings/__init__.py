"""Declares every setting once, reads it from flags, variables and a file, and checks it."""
