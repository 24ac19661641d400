"""Messages from topic to topic, on Apache Kafka: formats, texts, bytes, models."""
