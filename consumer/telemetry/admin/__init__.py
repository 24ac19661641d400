"""The admin port: what a worker tells over HTTP, and to whom."""

from consumer.telemetry.admin.messages import Answer, Page, Request
from consumer.telemetry.admin.server import AdminServer

__all__ = ["AdminServer", "Answer", "Page", "Request"]
