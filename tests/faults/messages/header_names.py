"""Messages with header names that Python cannot write: bytes that are not UTF-8."""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

from tests.integration.rigs import helpers

#: Tags of the arguments of `rd_kafka_producev`, and the end of their list (rdkafka.h).
_END, _TOPIC, _PARTITION, _VALUE, _KEY, _MSGFLAGS, _HEADERS = 0, 1, 3, 4, 5, 7, 10

#: Copy the payload.
_COPY = 2


def produce(
    bootstrap: str, topic: str, value: bytes, key: bytes, header_names: tuple[bytes, ...]
) -> None:
    """Write a message to partition 0 through librdkafka itself and wait until it is there."""
    library = _library()
    configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
    said = ctypes.create_string_buffer(512)
    name, brokers = b"bootstrap.servers", bootstrap.encode()
    assert library.rd_kafka_conf_set(configuration, name, brokers, said, 512) == 0, said.value
    client = ctypes.c_void_p(library.rd_kafka_new(0, configuration, said, 512))
    assert client.value, said.value
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(len(header_names)))
    for header in header_names:
        size = ctypes.c_ssize_t(len(header))
        assert not library.rd_kafka_header_add(headers, header, size, b"v", ctypes.c_ssize_t(1))
    refused = library.rd_kafka_producev(
        client,
        *(ctypes.c_int(_TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(_PARTITION), ctypes.c_int32(0)),
        *(ctypes.c_int(_VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(ctypes.c_int(_KEY), ctypes.c_char_p(key), ctypes.c_size_t(len(key))),
        *(ctypes.c_int(_MSGFLAGS), ctypes.c_int(_COPY)),
        *(ctypes.c_int(_HEADERS), headers),
        ctypes.c_int(_END),
    )
    assert refused == 0, f"librdkafka error {refused}"
    assert library.rd_kafka_flush(client, int(helpers.CALL_TIMEOUT_S * 1000)) == 0
    library.rd_kafka_destroy(client)


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka has brought and loaded."""
    assert confluent_kafka.libversion()
    found = [
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "librdkafka" in line
    ]
    library = ctypes.CDLL(found[0])
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library
