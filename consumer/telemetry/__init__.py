"""The only room that imports prometheus_client."""
