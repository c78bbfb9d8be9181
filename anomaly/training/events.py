"""Event files that TensorBoard shows, written without it: records of scalars, each with its checksums.

The format is that of TFRecord: length, masked CRC-32C of the length, data, masked CRC-32C of the data.
The data is the protocol buffer `Event` of TensorFlow; only the fields that a scalar needs are put down.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

from anomaly.errors import StoreError

_DOUBLE, _BYTES, _FLOAT = 1, 2, 5  # wire types of protocol buffers
_VERSION = b"brain.Event:2"


class EventFile:
    """One new event file in a folder of the local disk, which is made where it is missing.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.anomaly"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"Event files cannot be written to {str(folder)!r}: {error.strerror}. Name another folder "
                "with --tensorboard."
            ) from error
        self._append(_field(3, _VERSION))

    def add(self, tag: str, step: int, value: float) -> None:
        """Add one scalar: what `tag` was at `step`."""
        scalar = _field(1, tag.encode()) + _key(2, _FLOAT) + struct.pack("<f", value)
        self._append(_key(2, 0) + _varint(step) + _field(5, _field(1, scalar)))

    def _append(self, event: bytes) -> None:
        data = _key(1, _DOUBLE) + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(data))
        with self.path.open("ab") as file:
            file.write(length + _checksum(length) + data + _checksum(data))


def _checksum(data: bytes) -> bytes:
    import google_crc32c

    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _field(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
