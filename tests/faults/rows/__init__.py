"""The rows of the fault matrix: each fault, what it is done to, and what it must show."""
