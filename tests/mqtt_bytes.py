# SPDX-License-Identifier: Apache-2.0
"""MQTT packets as bytes, for tests that speak it without a library."""
import struct


def varint(value):
    out = b""
    while True:
        value, digit = divmod(value, 128)
        out += bytes([digit | (0x80 if value else 0)])
        if not value:
            return out


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def take_packet(received):
    """(size of the fixed header, the first packet, what is behind it), or None while it is not there whole."""
    for size in range(2, 6):
        if len(received) >= size and not received[size - 1] & 0x80:
            end = size + sum((b & 127) << 7 * i for i, b in enumerate(received[1:size]))
            return (size, received[:end], received[end:]) if len(received) >= end else None
    return None
