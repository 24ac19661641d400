"""Topics that begin, become others, lose a part or hide an end, on Apache Kafka."""
