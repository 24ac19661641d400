"""Messages whose schema stands in a schema registry: Avro, Protobuf, JSON with a schema."""
