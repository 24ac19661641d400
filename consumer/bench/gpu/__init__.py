"""The benchmark of the engine on a GPU."""
