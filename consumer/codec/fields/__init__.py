"""Where an article's id and its texts are: by plain names, or by paths."""
