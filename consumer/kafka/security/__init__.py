"""Whether the brokers let a client in, and what a person is told where they do not."""
