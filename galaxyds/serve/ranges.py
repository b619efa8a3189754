"""Which part of a file a request wants (RFC 9110, sections 13 and 14): headers in, numbers out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,40})\s*-\s*(\d{0,40})\s*", re.IGNORECASE | re.ASCII)
_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Part:
    """What to answer.

    Attributes
    ----------
    status : int
        200 (the whole file), 206 (a part), 304 (the client has it), 412 (it is not the file that
        the client means) or 416 (there are no such bytes).
    start, stop : int
        Bytes to send, as in a slice; equal where none are sent.
    """

    status: int
    start: int
    stop: int


def wanted_part(headers: Mapping[str, str], *, method: str, etag: str, size: int) -> Part:
    """Choose the answer to a request for a file.

    Parameters
    ----------
    headers : mapping of str to str
        Of the request; found by their names in lower case.
    method : str
        ``Range`` counts for ``GET`` only (RFC 9110, 14.2).
    etag : str
        Of the file, quoted.
    size : int
        Of the file, in bytes.

    Returns
    -------
    Part
        A ``Range`` that is malformed, not of bytes, or of several parts is passed over, as the
        RFC allows: the answer is then the whole file.
    """
    if "if-match" in headers and not _names(headers["if-match"], etag, weak=False):
        return Part(412, 0, 0)
    if "if-none-match" in headers and _names(headers["if-none-match"], etag, weak=True):
        return Part(304, 0, 0)
    # Without a date on the file, an If-Range with a date cannot hold.
    held = headers.get("if-range", etag).strip() == etag
    if method != "GET" or "range" not in headers or not held:
        return Part(200, 0, size)
    return _part(headers["range"], size)


def _names(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _TAG.findall(header)
    return etag in ([tag.removeprefix("W/") for tag in tags] if weak else tags)


def _part(header: str, size: int) -> Part:
    whole = Part(200, 0, size)
    found = _RANGE.fullmatch(header)
    if found is None or found[1] == found[2] == "":
        return whole
    if not found[1]:
        return _last(int(found[2]), size)
    first = int(found[1])
    last = int(found[2]) if found[2] else max(first, size - 1)
    if last < first:
        return whole
    return Part(206, first, min(last + 1, size)) if first < size else Part(416, 0, 0)


def _last(count: int, size: int) -> Part:
    if count == 0:
        return Part(416, 0, 0)
    # The end of an empty file is the empty file, which no Content-Range can describe.
    return Part(206, max(size - count, 0), size) if size else Part(200, 0, 0)
