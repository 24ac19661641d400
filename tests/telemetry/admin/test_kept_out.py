"""Who is not heard by the kernel, and for how long."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from consumer.telemetry.admin.allowance import client_of
from consumer.telemetry.admin.kept_out import KeptOut
from tests.support.rigs.admin_rig import PATIENCE_S

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's packet filter")


class Listener:
    """Notes what the kernel is told; refuses where it is told to."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.refuses = False

    def setsockopt(self, level: int, option: int, _: object) -> None:
        assert level == socket.SOL_SOCKET
        if self.refuses:
            raise OSError("not here")
        self.told.append(option)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def kept_out(listener: Listener) -> KeptOut:
    return KeptOut(listener, 5.0)  # type: ignore[arg-type]


@on_linux
def test_a_client_is_kept_out_for_a_while(listener: Listener, kept_out: KeptOut) -> None:
    assert kept_out.let_in(0.0) is None
    assert kept_out.keep_out(["10.0.0.1"], 100.0), "the first needs somebody to let it in"
    assert not kept_out.keep_out(["10.0.0.1"], 101.0)
    assert not kept_out.keep_out(["10.0.0.2"], 102.0)
    assert listener.told == [26, 26]
    assert kept_out.let_in(104.9) == pytest.approx(0.1)
    assert len(kept_out) == 2
    assert kept_out.let_in(105.0) == pytest.approx(2.0)
    assert listener.told == [26, 26, 26]
    assert kept_out.let_in(107.0) is None
    assert listener.told[-1] == 27
    assert kept_out.keep_out(["10.0.0.1"], 108.0)


@on_linux
def test_for_one_too_many_the_first_is_heard_again(kept_out: KeptOut) -> None:
    kept_out.keep_out([f"10.0.0.{number}" for number in range(32)], 0.0)
    kept_out.keep_out(["10.0.1.1"], 1.0)
    assert len(kept_out) == 32
    assert kept_out.keep_out(["10.0.0.0"], 2.0) is False
    assert len(kept_out) == 32


def test_where_the_kernel_refuses_all_are_heard(listener: Listener, kept_out: KeptOut) -> None:
    listener.refuses = True
    assert not kept_out.keep_out(["10.0.0.1"], 0.0)
    assert len(kept_out) == 0
    assert kept_out.let_in(10.0) is None


def test_what_is_no_address_is_passed_over(listener: Listener, kept_out: KeptOut) -> None:
    assert not kept_out.keep_out(["", "a socket's path"], 0.0)
    assert listener.told == []


@contextlib.contextmanager
def listening(host: str) -> Iterator[tuple[socket.socket, int]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        if family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            opened.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        opened.listen(16)
        opened.settimeout(PATIENCE_S)
        yield opened, opened.getsockname()[1]


def begun(host: str, source: str, port: int) -> socket.socket:
    """A connection that is asked for; nobody waits for it."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.bind((source, 0))
    opened.setblocking(False)
    opened.connect_ex((host, port))
    return opened


@on_linux
@pytest.mark.parametrize(
    ("listens_on", "crowd", "other"),
    [
        ("127.0.0.1", ("127.0.0.1", "127.0.0.2"), ("127.0.0.1", "127.0.0.3")),
        ("::", ("127.0.0.1", "127.0.0.2"), ("::1", "::1")),
        ("::", ("::1", "::1"), ("127.0.0.1", "127.0.0.3")),
    ],
)
def test_the_kernel_hears_the_others_and_them_afterwards(
    listens_on: str, crowd: tuple[str, str], other: tuple[str, str]
) -> None:
    with listening(listens_on) as (opened, port):
        kept_out = KeptOut(opened)
        known = [client_of(crowd[1]), "10.1.1.1", client_of("fd00::1"), client_of("fd00:0:0:1::")]
        assert kept_out.keep_out(known, 0.0)
        with begun(*crowd, port), begun(*other, port):
            # Who was heard would be first.
            accepted, address = opened.accept()
            accepted.close()
            assert client_of(address[0]) == client_of(other[1])
            assert kept_out.let_in(5.0) is None
            # It is asked for again and again by its own system.
            accepted, address = opened.accept()
            accepted.close()
            assert client_of(address[0]) == client_of(crowd[1])
