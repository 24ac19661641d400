"""Tests that need Apache Kafka."""
