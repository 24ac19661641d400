"""A run of the matrix: its scene, what it gave, and the record that is kept of it."""
