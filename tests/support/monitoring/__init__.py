"""What watches the workers, for tests: the files in deploy/, a real Prometheus, faults."""
