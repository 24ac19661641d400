"""Servers for the tests: Apache Kafka, a schema registry, Prometheus."""
