"""A receiver of OTLP over HTTP, which reads what was sent with the standard's own classes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.fakes import eventually


class OtlpReceiver:
    """What came, and how the next request is answered.

    Attributes:
        address: without a path.
        status: of the answers.
        gate: while it is cleared no answer is given.
        requests: how many came.
        headers: of those that were taken, their names in lower case; spans, resources: what was in
            them.
    """

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.requests = 0
        self.paths: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.requests += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.gate.wait(60)
                if receiver.status == 200:
                    receiver.paths.add(self.path)
                    names = {name.lower(): value for name, value in self.headers.items()}
                    receiver.take(names, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """None."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        self.headers.append(headers)
        for part in request.resource_spans:
            attributes = part.resource.attributes
            self.resources.append({one.key: one.value.string_value for one in attributes})
            for scope in part.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def await_spans(self, name: str, count: int) -> list[Span]:
        """So many spans of this name have come."""
        eventually(lambda: len(self.named(name)) >= count, f"{count} spans {name}")
        return self.named(name)


def attributes_of(span: Span) -> dict[str, Any]:
    """A span's attributes as Python's values."""
    return {
        one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes
    }


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A receiver on the loopback."""
    receiver = OtlpReceiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.gate.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
