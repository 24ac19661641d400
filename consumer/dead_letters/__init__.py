"""The dead letters of a topic: read, filtered, counted, and sent back exactly once."""
