"""A Hugging Face hub on the loopback, which has one repository, and may lie about it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.support.models.tiny_models import tiny_folder

PORTAL = b"<!DOCTYPE html><html><body>Please log in to use this network</body></html>"


class FakeHub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download needs, for one repository."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"
    #: What the repository holds beside the tiny model: weights that must not be fetched.
    EXTRA = ("pytorch_model.bin", "onnx/config.json")
    #: What it lacks of the tiny model.
    LACKS: ClassVar[frozenset[str]] = frozenset()
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        names = [file.name for file in tiny_folder().iterdir() if file.name not in self.LACKS]
        if path == "/api/models/some/tagger/revision/main":
            self._answer({"id": "some/tagger", "sha": self.COMMIT})
        elif path == f"/api/models/some/tagger/revision/{self.COMMIT}":
            files = [{"rfilename": name} for name in (*names, *self.EXTRA)]
            self._answer({"id": "some/tagger", "sha": self.COMMIT, "siblings": files})
        elif path == f"/api/models/some/tagger/tree/{self.COMMIT}":
            entries = [
                {"type": "file", "path": name, "oid": "0" * 40, "size": size}
                for name, size in self._sizes(names)
            ]
            self._answer(entries)
        elif path.startswith(f"/some/tagger/resolve/{self.COMMIT}/"):
            self._send(path.rpartition("/")[2])
        else:
            self._answer({"error": "Repository not found"}, 404, "RepoNotFound")

    def _sizes(self, names: list[str]) -> list[tuple[str, int]]:
        sizes = [(name, (tiny_folder() / name).stat().st_size) for name in names]
        return sizes + [(name, 10) for name in self.EXTRA]

    def _answer(self, document: Any, status: int = 200, code: str = "") -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self._write(body)

    def _content(self, name: str) -> bytes:
        return (tiny_folder() / name).read_bytes()

    def _send(self, name: str) -> None:
        body = self._content(name)
        true = (tiny_folder() / name).read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(true).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(body)

    def _write(self, body: bytes) -> None:
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class PickledHub(FakeHub):
    """Weights are there as a pickle alone."""

    LACKS = frozenset({"model.safetensors"})


class PortalHub(FakeHub):
    """Every answer is a page that asks for a login."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PORTAL)))
        self.end_headers()
        self._write(PORTAL)


class PortalForFiles(FakeHub):
    """Files are such pages, under the names and digests of what they should be."""

    def _content(self, name: str) -> bytes:
        return PORTAL.ljust(len(super()._content(name)))


class ShortHub(FakeHub):
    """Half of each file, as if it were all."""

    def _content(self, name: str) -> bytes:
        content = super()._content(name)
        return content[: len(content) // 2]


class CutHub(FakeHub):
    """The line breaks in the midst of each file."""

    def _write(self, body: bytes) -> None:
        if "/resolve/" in self.path:
            body = body[: len(body) // 2]
            self.close_connection = True
        super()._write(body)


class OtherHub(FakeHub):
    """A letter of each file is another, and the digest is that of the file as it was."""

    def _content(self, name: str) -> bytes:
        content = super()._content(name)
        return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


class NamelessHub(FakeHub):
    """Its commit is none, but the way to a file elsewhere."""

    COMMIT = "../../../../etc"


class OddHub(FakeHub):
    """JSON, and not what a hub says."""

    def _answer(self, document: Any, status: int = 200, code: str = "") -> None:
        del document
        super()._answer([{"ok": True}], status, code)


@contextlib.contextmanager
def fake_hub(kind: type[FakeHub] = FakeHub) -> Iterator[str]:
    """The address of a hub that has some/tagger."""
    kind.asked.clear()
    tiny_folder()
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
