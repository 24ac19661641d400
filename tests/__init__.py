"""The tests, one file a module; those that need Apache Kafka are in `integration`."""
