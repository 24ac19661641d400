"""Spans for OpenTelemetry. The only room that imports its SDK, which is an extra."""
