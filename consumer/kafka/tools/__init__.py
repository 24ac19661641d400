"""What commands, benchmarks and tests do to Kafka beside the worker."""
