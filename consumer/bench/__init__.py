"""Everything that `nerstream bench` runs."""
