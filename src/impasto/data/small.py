"""One small file from the network, whole in memory, and why it did not come."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from impasto.data.remote import REASONS, own_headers

LIMIT = 16 << 20
"""Bytes that a file may have."""

_TIMEOUT = (10.0, 30.0)  # seconds to connect, and without a byte
_LONGEST = 120.0  # seconds for a whole file, however it trickles
_CHUNK = 1 << 14  # bytes
_BUSY = frozenset({429, 503})  # status codes that ask for a pause


class NotReceivedError(Exception):
    """Why a request gave no file.

    Attributes:
        wait: seconds for which the server wants to be left alone; None where it did not say that it is busy, 0 where
            it did not say for how long.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def receive(url: str, limit: int = LIMIT) -> bytes:
    """The content of a file, by one request.

    Raises:
        NotReceivedError: there was no answer in time, another answer than 200, fewer bytes than announced, or more
            than ``limit``.
    """
    try:
        with requests.get(url, headers=own_headers(), stream=True, timeout=_TIMEOUT) as response:
            if response.status_code != 200:
                raise NotReceivedError(f"HTTP {response.status_code}", _wait(response))
            return _body(response, limit)
    except requests.RequestException as error:
        raise NotReceivedError(REASONS.get(type(error).__name__, type(error).__name__)) from error


def _body(response: requests.Response, limit: int) -> bytes:
    announced, begun, content = response.headers.get("Content-Length", ""), time.monotonic(), b""
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise NotReceivedError(f"more than {limit:,} bytes")
        if time.monotonic() - begun > _LONGEST:
            raise NotReceivedError(f"not done after {_LONGEST:.0f} s")
    if announced.isdecimal() and len(content) != int(announced):
        raise NotReceivedError(f"{len(content):,} of {int(announced):,} bytes")
    return content


def _wait(response: requests.Response) -> float | None:
    """The header Retry-After, seconds or a date."""
    if response.status_code not in _BUSY:
        return None
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):  # none, or no date
        return 0.0
