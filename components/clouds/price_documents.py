"""What every cloud's price interface needs: documents over HTTPS, with what it said where it refuses."""

from __future__ import annotations

import csv
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any

SECONDS = 60.0
"""Without a byte from the interface."""


class NotAsked(Exception):
    """The interface could not be asked; the text says why and what it takes."""


@contextmanager
def opened(address: str, token: str = "") -> Iterator[HTTPResponse]:
    """Open an answer. Raises NotAsked; the query is never told, a key may stand in it."""
    headers = {"Accept": "*/*", **({"Authorization": f"Bearer {token}"} if token else {})}
    place = address.partition("?")[0]
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=SECONDS) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        raise NotAsked(f"{place}: {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise NotAsked(f"{place}: {getattr(error, 'reason', error)}") from error


def fetch(address: str, token: str = "") -> Mapping[str, Any]:
    """Fetch a JSON document."""
    with opened(address, token) as answer:
        document: Mapping[str, Any] = json.load(answer)
        return document


def stream_rows(address: str, *, skip: int) -> Iterator[Mapping[str, str]]:
    """Read the rows of a CSV document of any length, by the names in its head; `skip` lines stand before that."""
    with opened(address) as answer:
        lines = (line.decode() for line in answer)
        for _ in range(skip):
            next(lines, "")
        yield from csv.DictReader(lines)
