"""What a model that a stranger made may not be or do, found out before it is loaded."""
