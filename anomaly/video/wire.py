"""Messages between a decode process and its owner: a JSON header, then the raw bytes of arrays.

JSON and not pickle: the sender has native code reading untrusted files in it.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.video import FrameBatch

_LENGTH = struct.Struct("!I")


class ConnectionEndedError(Exception):
    """The other side is gone."""


def send(connection: socket.socket, header: dict[str, Any], *arrays: NDArray[Any]) -> None:
    """Send one message and wait until all of it is on its way."""
    text = json.dumps(header).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)
    for array in arrays:
        connection.sendall(array.data.cast("B"))


def receive(connection: socket.socket) -> dict[str, Any]:
    """Wait for the next header.

    Raises:
        TimeoutError: not a byte came within the time limit of the connection.
        ConnectionEndedError: the other side is gone.
    """
    length = bytearray(_LENGTH.size)
    _fill(connection, memoryview(length))
    text = bytearray(_LENGTH.unpack(length)[0])
    _fill(connection, memoryview(text))
    header: dict[str, Any] = json.loads(text)
    return header


def send_batch(connection: socket.socket, batch: FrameBatch, megapixels: float) -> None:
    """Send frames; `megapixels` are those of the whole video, as far as is known."""
    pixels_BHWC = np.ascontiguousarray(batch.pixels_BHWC)
    header = {"kind": "batch", "shape": pixels_BHWC.shape, "megapixels": megapixels}
    send(connection, header, batch.index_B, batch.seconds_B, pixels_BHWC)


def receive_batch(connection: socket.socket, header: dict[str, Any]) -> FrameBatch:
    """Return the frames that follow on their header; raises as `receive` does."""
    pixels_BHWC = np.empty(header["shape"], dtype=np.uint8)
    index_B = np.empty(len(pixels_BHWC), dtype=np.int64)
    seconds_B = np.empty(len(pixels_BHWC), dtype=np.float64)
    for array in (index_B, seconds_B, pixels_BHWC):
        _fill(connection, array.data.cast("B"))
    return FrameBatch(pixels_BHWC, index_B, seconds_B)


def _fill(connection: socket.socket, buffer: memoryview) -> None:
    done = 0
    while done < len(buffer):
        count = connection.recv_into(buffer[done:])
        if count == 0:
            raise ConnectionEndedError
        done += count
