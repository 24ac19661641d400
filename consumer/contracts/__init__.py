"""What the rooms share: the values that travel, the protocols, the choices, the errors.

The lowest room: it imports nothing of nerstream.
"""
