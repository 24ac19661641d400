"""How right a tagger is: gold labels, scores, confusion, comparison of precisions."""
