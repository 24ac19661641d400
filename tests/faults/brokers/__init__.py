"""Apache Kafka for the fault runs, and what stands before it."""
