"""What processes run in place of the tokenizer's; imports no torch, as they must not."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from consumer.tagging.tokenize.tokenizer_process import TokenizerSpec, serialise, text_tokenizer_of


def serve_poisoned(connection: Connection, specs: Sequence[TokenizerSpec]) -> None:
    """Ends as a tokenizer does that crashes, at a text with `poison`."""
    text_tokenizer = text_tokenizer_of(specs[0])
    connection.send_bytes(b"")
    while True:
        call = pickle.loads(connection.recv_bytes())
        if any("poison" in text for texts in call.articles for text in texts):
            os._exit(134)
        answer = serialise(text_tokenizer.encode(call.articles))
        connection.send_bytes(pickle.dumps(answer))


def serve_short_lived(connection: Connection, _specs: Sequence[TokenizerSpec]) -> None:
    """Ends at the first call, whatever it is."""
    connection.send_bytes(b"")
    connection.recv_bytes()
    os._exit(3)


def serve_when_all_are_there(connection: Connection, _specs: Sequence[TokenizerSpec]) -> None:
    """Begins when three processes have come so far."""
    folder = Path(os.environ["NERSTREAM_TEST_FOLDER"])
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 30
    while len(list(folder.iterdir())) < 3:
        if time.monotonic() > until:
            os._exit(7)
        time.sleep(0.01)
    connection.send_bytes(b"")


def serve_nothing(_connection: Connection, _specs: Sequence[TokenizerSpec]) -> None:
    """Does not even begin."""
    os._exit(5)
