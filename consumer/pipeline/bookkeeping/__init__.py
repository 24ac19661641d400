"""Books of the messages in flight: whose they are, which are resolved, when to commit."""
