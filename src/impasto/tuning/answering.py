"""Whether a Ray cluster may be at an address, before Ray is asked: of anything else it makes minutes of raw lines."""

from __future__ import annotations

import os
import socket

from impasto.errors import ImpastoError

_PATIENCE = 5.0  # seconds in which an address must take a connection, and then say what it is
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # and empty settings: RFC 9113, 3.4
_SETTINGS = 4  # the kind of the first frame of a server


def require_answer(address: str) -> None:
    """See that a server of Ray's kind, HTTP/2, answers.

    Args:
        address: ``HOST:PORT``.

    Raises:
        ImpastoError: the address is none, nobody answers there within seconds, or something else does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise unreachable(address, "an address is HOST:PORT, as `ray start --head` prints it")
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as line:
            spoken = os.environ.get("RAY_USE_TLS", "0") != "0" or _speaks(line)
    except (OSError, OverflowError) as error:
        raise unreachable(address, str(error)) from error
    if not spoken:
        raise unreachable(address, "what listens there is something else")


def unreachable(address: str, why: str) -> ImpastoError:
    """The error for an address at which there is no cluster."""
    remedy = "Start one with `ray start --head --port=6379`, and join this machine to it: see docs/scale.md."
    return ImpastoError(f"no Ray cluster answers at {address}: {why}", where="--address", remedy=remedy)


def _speaks(line: socket.socket) -> bool:
    """Whether the other end begins as HTTP/2 does, with a frame of settings."""
    line.sendall(_PREFACE)
    head = b""
    while len(head) < 9 and (more := line.recv(9 - len(head))):
        head += more
    return len(head) == 9 and head[3] == _SETTINGS
