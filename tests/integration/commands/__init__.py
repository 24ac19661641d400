"""The commands that look at topics, on Apache Kafka."""
