"""WorkerProcess: what it waits for, and which ends of a worker it takes for a machine's fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.rigs.worker_process import EndedEarly, WorkerProcess

#: Ends so often with what is on its first line before it serves, as often as there are lines.
_SCRIPT = """
import http.server, json, pathlib, sys
ends = pathlib.Path({ends!r})
left = ends.read_text().splitlines()
if left:
    ends.write_text("\\n".join(left[1:]))
    code, said = left[0].split(" ", 1)
    print(json.dumps({{"event": "starting", "admin_port": 1}}))
    print(said, file=sys.stderr)
    sys.exit(int(code))
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
    print(json.dumps({{"event": "starting", "admin_port": server.server_port}}), flush=True)
    server.serve_forever()
"""
_UNANSWERED = "1 nerstream: error: no broker answers at 127.0.0.1:1 (all are down)"


def worker(folder: Path, *ends: str) -> WorkerProcess:
    file = folder / "ends"
    file.write_text("\n".join(ends))
    return WorkerProcess({}, folder, command=("-c", _SCRIPT.format(ends=str(file))))


def test_a_worker_that_found_no_broker_is_started_again(tmp_path: Path) -> None:
    with worker(tmp_path, _UNANSWERED, _UNANSWERED) as process:
        process.wait_ready()
        assert process.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    "end",
    [
        "1 nerstream: error: another one holds the transactional id",
        _UNANSWERED.replace("1", "2", 1),
        "0 done",
    ],
)
def test_any_other_end_is_one(tmp_path: Path, end: str) -> None:
    with worker(tmp_path, end) as process, pytest.raises(EndedEarly, match=end[2:20]):
        process.wait_ready()
