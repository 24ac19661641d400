"""The checker: what must be true of a run, judged from what Kafka holds and the workers say."""
