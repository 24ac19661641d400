"""Whether every input has exactly one outcome, in order, unchanged beside what is added."""
