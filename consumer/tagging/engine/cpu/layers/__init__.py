"""Encoder layers of a CPU: in float, in 16 and in 8 bits, and what they are made of."""
