"""The worker as a process, on Apache Kafka."""
