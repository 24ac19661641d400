"""What the integration tests drive, feed and look at."""
