"""Servers on the loopback that answer as they are told, and what asks them."""
