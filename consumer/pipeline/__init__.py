"""Threads, queues, batches and offsets; imports no vendor library."""
