"""From text as it came to text that a tagger reads, with the way back for its offsets."""
