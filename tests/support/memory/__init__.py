"""Kafka, the registry and what is in them, in memory."""
