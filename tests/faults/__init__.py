"""The fault matrix: workers as processes on Apache Kafka, faults, and what Kafka holds then."""
