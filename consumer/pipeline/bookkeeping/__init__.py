"""What is in flight, whose it is, what is resolved, and when it is committed."""
