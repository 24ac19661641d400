"""nerstream: Kafka in, named entities out."""

__version__ = "0.1.0"
