"""Event files hold what TensorBoard reads: framed records with checksums, each a scalar at a step."""

from __future__ import annotations

import struct

import pytest

from anomaly.errors import StoreError
from anomaly.training.events import EventFile


def crc32c(data):
    """Bit by bit, as the standard says (Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        (head,) = struct.unpack("<I", data[8:12])
        body, (tail,) = (
            data[12 : 12 + length],
            struct.unpack("<I", data[12 + length : 16 + length]),
        )
        assert (head, tail) == (masked(data[:8]), masked(body))
        yield body
        data = data[16 + length :]


def varint(data):
    number = shift = 0
    while True:
        byte, data = data[0], data[1:]
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, data


def fields(data):
    """A protocol buffer as {field: value}."""
    found = {}
    while data:
        key, data = varint(data)
        kind = key & 7
        if kind == 0:
            found[key >> 3], data = varint(data)
        elif kind == 2:
            size, data = varint(data)
            found[key >> 3], data = data[:size], data[size:]
        else:
            size, code = {1: (8, "<d"), 5: (4, "<f")}[kind]
            found[key >> 3], data = struct.unpack(code, data[:size])[0], data[size:]
    return found


def test_scalars_come_back_with_their_tag_step_and_value(tmp_path):
    file = EventFile(tmp_path / "a" / "b")
    written = [("learnt", 1, 0.75), ("held_out", 1, 0.5), ("learnt", 300, -2.25)]
    for tag, step, value in written:
        file.add(tag, step, value)
    assert "tfevents" in file.path.name
    version, *events = [fields(record) for record in records(file.path.read_bytes())]
    assert version[3] == b"brain.Event:2"
    assert version[1] == pytest.approx(events[0][1], abs=60)
    read = []
    for event in events:
        scalar = fields(fields(event[5])[1])
        read.append((scalar[1].decode(), event[2], scalar[2]))
    assert read == written


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Name another folder with --tensorboard"):
        EventFile(tmp_path / "file" / "below")
