"""Strangers at an admin port of this machine.

`python -m benchmarks.processes.attackers PORT KIND ...` writes a line when all are at it, goes on
until standard input ends or a minute is over, and writes what it has done. Each kind has an address
of its own on the loopback, and goes nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

_ASK = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

#: Nobody attacks for longer.
_MOST_S = 60.0


class Stranger:
    """One address that connects to the port, and what came of it."""

    def __init__(self, port: int, address: str) -> None:
        self.done: Counter[str] = Counter()
        self._port = port
        self._address = address

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        self.done["connections"] += 1
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))

    async def say(self, raw: bytes) -> None:
        """Connect, say this, and see how it ends."""
        reader, writer = await self.connect()
        try:
            writer.write(raw)
            async with asyncio.timeout(5.0):
                answer = await reader.read(65_536)
            self.done["answers" if answer else "ends"] += 1
        finally:
            writer.close()

    async def at_rate(self, per_s: float, ask: Callable[[], bytes]) -> None:
        """Say what `ask` gives, so many times a second, without waiting for the answers."""
        tasks: set[asyncio.Task[None]] = set()
        began, count = time.monotonic(), 0
        try:
            while True:
                while count < (time.monotonic() - began) * per_s:
                    count += 1
                    if len(tasks) < 200:
                        tasks.add(asyncio.ensure_future(self._tolerant(self.say(ask()))))
                tasks = {task for task in tasks if not task.done()}
                await asyncio.sleep(0.01)
        finally:
            for task in tasks:
                task.cancel()

    async def many(self, count: int, one: Callable[[], Awaitable[None]]) -> None:
        """So many at once, each begun anew when it ends, ten times a second at most."""

        async def again() -> None:
            while True:
                await self._tolerant(one())
                await asyncio.sleep(0.1)

        await asyncio.gather(*(again() for _ in range(count)))

    async def _tolerant(self, attempt: Awaitable[None]) -> None:
        try:
            await attempt
        except (OSError, TimeoutError):
            self.done["broken"] += 1

    async def flood(self) -> None:
        """300 connections a second, each for the metrics."""
        await self.at_rate(300, lambda: _ASK)

    async def garbage(self) -> None:
        """200 connections a second that speak no HTTP."""
        await self.at_rate(200, lambda: random.randbytes(2_000) + b"\r\n\r\n")

    async def headers(self) -> None:
        """100 connections a second with headers of 64 KiB."""
        await self.at_rate(100, lambda: b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 8_192 + b"\r\n")

    async def slow(self) -> None:
        """100 connections that send a byte in a tenth of a second, and never end a request."""

        async def one() -> None:
            _, writer = await self.connect()
            try:
                writer.write(b"GET / HTTP/1.1\r\nX: ")
                while not writer.is_closing():
                    writer.write(b"y")
                    await writer.drain()
                    self.done["bytes"] += 1
                    await asyncio.sleep(0.1)
            finally:
                writer.close()

        await self.many(100, one)

    async def pipelined(self) -> None:
        """Eight connections that ask for the metrics fifty times before they read."""

        async def one() -> None:
            reader, writer = await self.connect()
            try:
                while True:
                    writer.write(_ASK * 50)
                    for _ in range(50):
                        await reader.readuntil(b"# HELP")
                        self.done["answers"] += 1
            except asyncio.IncompleteReadError:
                self.done["ends"] += 1
            except asyncio.LimitOverrunError:
                await reader.read(65_536)
            finally:
                writer.close()

        await self.many(8, one)

    async def unread(self) -> None:
        """Twenty connections that ask for the metrics without end, and never read."""

        async def one() -> None:
            reader, writer = await self.connect()
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            try:
                while not writer.is_closing():
                    writer.write(_ASK * 20)
                    await writer.drain()
                    self.done["asked"] += 20
                    await asyncio.sleep(0.1)
            finally:
                writer.close()

        await self.many(20, one)


#: What each stranger does.
KINDS = ("slow", "flood", "garbage", "headers", "pipelined", "unread")


async def _attack(port: int, kinds: Sequence[str]) -> dict[str, Counter[str]]:
    strangers = {kind: Stranger(port, f"127.0.0.{2 + KINDS.index(kind)}") for kind in kinds}
    tasks = [asyncio.ensure_future(getattr(strangers[kind], kind)()) for kind in kinds]
    print("begun", flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([*tasks, ended], timeout=_MOST_S, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return {kind: stranger.done for kind, stranger in strangers.items()}


def main() -> None:
    """Attack."""
    print(json.dumps(asyncio.run(_attack(int(sys.argv[1]), sys.argv[2:]))))


if __name__ == "__main__":
    main()
