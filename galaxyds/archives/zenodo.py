"""Zenodo: the published files of a record, by name, through the REST API.

The answer to ``GET /api/records/{id}`` has had two shapes: a list of files with ``key``,
``links.self`` and ``md5:<hex>`` (before and after the migration of October 2023), and one with
``filename`` and a bare md5, whose files lie at ``/records/{id}/files/{filename}?download=1``.
Both are read.  What the answer says is not trusted: a name becomes a file only if it is one plain
word, a URL is asked only if it is on the record's own host, and a size is a limit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from galaxyds import settings
from galaxyds.archives.base import RemoteFile
from galaxyds.archives.calls import Policy
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.records import is_plain_name, part_bytes, require_transfer_space
from galaxyds.archives.redact import looks_like_html, server_words, shown_url
from galaxyds.errors import ArchiveError, NotInArchiveError, one_line, storage_error

VARIABLE = "GALAXYDS_ZENODO_URL"
DEFAULT_URL = "https://zenodo.org"
INTERVAL = 1.0
"""Seconds between two requests; guests are said to have 60 a minute (unverified)."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_URL = re.compile(r"[!-~]{1,2000}")
_RECORD_BYTES = 4 << 20
_LARGEST_FILE = 200 * 10**9
"""Bytes; the largest file of GalaxiesML has about 66 GB."""
_WORTH_GOING_ON = 16 << 20
"""Bytes; a transfer that brought as many before it failed is taken up again."""
_FIRST_ATTEMPTS = 6  # some 15 s; what has once been reached is waited for longer
_LOG = logging.getLogger(__name__)


class ZenodoRecord:
    """One record of Zenodo, or of another server with its API.

    Parameters
    ----------
    record : str
        Its number.
    url : str, optional
        Base URL of the service; by default the setting ``GALAXYDS_ZENODO_URL``.
    http : Http, optional
        Session.

    Raises
    ------
    UsageError
        If the setting is no http(s) URL.
    """

    name = "zenodo"

    def __init__(self, record: str, *, url: str | None = None, http: Http | None = None) -> None:
        self.record = record
        self.url = (url or settings.url(VARIABLE, DEFAULT_URL)).rstrip("/")
        self.http = http or Http(
            "Zenodo", policy=Policy(first_attempts=_FIRST_ATTEMPTS), setting=VARIABLE,
            rate=RateLimit(INTERVAL, rate_directory()),
        )  # fmt: skip

    def endpoints(self) -> dict[str, str]:
        """Base URLs in use, by service."""
        return {"records": shown_url(self.url)}

    def files(self) -> dict[str, RemoteFile]:
        """Return the files of the record, by name, in the order of names.

        A name that could not be a plain file name here is passed over with a warning.

        Returns
        -------
        dict of str to RemoteFile
            ``bytes`` is 0 where the record does not state a size.

        Raises
        ------
        NotInArchiveError
            If there is no such record.
        ArchiveError
            If the record cannot be read, or points to another host.
        """
        entries = self._entries()
        found: dict[str, RemoteFile] = {}
        for entry in entries:
            file = self._remote_file(entry)
            if file is None:
                continue
            if file.name in found:
                raise self._error(f"lists {file.name} twice")
            found[file.name] = file
        if not found:
            raise self._error("lists no files")
        return dict(sorted(found.items()))

    def fetch(self, file: RemoteFile, directory: Path) -> Path:
        """Put a file into ``directory``, resuming what is there of it, and check its md5.

        A file that is there and right is left alone; one that is wrong is fetched again.

        Parameters
        ----------
        file : RemoteFile
            From :meth:`files`.
        directory : pathlib.Path
            Made if it is missing.

        Returns
        -------
        pathlib.Path
            ``directory / file.name``.

        Raises
        ------
        ArchiveError
            If the transfer fails for good, or the file's name or URL is refused.
        DataIntegrityError
            If the checksum differs: the file is named, and removed.
        StorageError
            If it does not fit on the disk, or cannot be written.
        """
        target = directory / self._plain(file.name)
        self._own_url(file.url, file.name)
        if self._is_right(target, file):
            return target
        require_transfer_space(target, file)
        limit = file.bytes or _LARGEST_FILE
        while True:
            before = part_bytes(target)
            try:
                return self.http.fetch(file.url, target, max_bytes=limit, md5=file.md5)
            except NotInArchiveError:
                raise
            except ArchiveError as error:
                # Tens of GB may be cut more often than a session tries; what grows goes on.
                if part_bytes(target) - before < _WORTH_GOING_ON:
                    raise
                _LOG.warning("%s", error)

    # the answer ------------------------------------------------------------------------------

    def _entries(self) -> list[Any]:
        """Ask for the record and return its list of files."""
        address = f"{self.url}/api/records/{quote(self.record, safe='')}"
        try:
            answer = self.http.get(address, max_bytes=_RECORD_BYTES)
        except NotInArchiveError as error:
            raise NotInArchiveError(
                f"Zenodo has no record {one_line(self.record, 40)} at {shown_url(self.url)} "
                f"(HTTP {error.values.get('status')}): check {VARIABLE}",
                **error.values,
            ) from error
        if looks_like_html(answer.body, answer.content_type):
            words = server_words(answer.body, "text/html")
            raise self._error(f"is answered with a web page instead of JSON: {words}", words)
        try:
            record = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._error("is not answered with JSON") from error
        entries = record.get("files") if isinstance(record, dict) else None
        if not isinstance(entries, list):
            raise self._error("is answered without a list of files")
        return entries

    def _remote_file(self, entry: Any) -> RemoteFile | None:
        """Read one file of either shape; None if its name is passed over."""
        if not isinstance(entry, dict):
            raise self._error("lists a file that is no JSON object")
        name = entry.get("key", entry.get("filename"))
        if not isinstance(name, str):
            raise self._error("lists a file without key or filename")
        if not is_plain_name(name):
            _LOG.warning(
                "Zenodo record %s: a file named '%s' is passed over", self.record, one_line(name)
            )
            return None
        return RemoteFile(
            name=name,
            url=self._own_url(self._stated_url(entry, name), name),
            bytes=self._size(entry, name),
            md5=self._md5(entry, name),
        )

    def _stated_url(self, entry: dict[str, Any], name: str) -> str:
        if "key" not in entry:
            return f"{self.url}/records/{quote(self.record, safe='')}/files/{name}?download=1"
        links = entry.get("links")
        stated = links.get("self") if isinstance(links, dict) else None
        if not isinstance(stated, str):
            raise self._error(f"states no links.self for {name}")
        return stated

    def _size(self, entry: dict[str, Any], name: str) -> int:
        size = entry.get("size", entry.get("filesize", 0))
        if isinstance(size, float) and size.is_integer():
            size = int(size)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _LARGEST_FILE:
            shown = size if isinstance(size, int | float) else type(size).__name__
            raise self._error(f"states a size of {shown} bytes for {name}, which is refused")
        return size

    def _md5(self, entry: dict[str, Any], name: str) -> str:
        stated = entry.get("checksum")
        digits = stated.removeprefix("md5:").lower() if isinstance(stated, str) else ""
        if not _MD5.fullmatch(digits):
            shown = one_line(stated, 60) if isinstance(stated, str) else type(stated).__name__
            raise self._error(f"states no md5 for {name} but '{shown}'")
        return digits

    # refusals --------------------------------------------------------------------------------

    def _plain(self, name: str) -> str:
        if not is_plain_name(name):
            raise self._error(f"names a file '{one_line(name, 80)}', which is refused: it is no "
                              "plain file name")  # fmt: skip
        return name

    def _own_url(self, url: str, name: str) -> str:
        """Return a URL that is on the record's host, with its scheme and port."""
        own = urlsplit(self.url)
        try:
            there = urlsplit(url)
        except ValueError:
            there = urlsplit("")
        same = (there.scheme.lower(), there.netloc.lower()) == (own.scheme, own.netloc.lower())
        if not same or not _URL.fullmatch(url):
            shown = one_line(shown_url(url), 120) if there.netloc else one_line(url, 120)
            raise self._error(f"points to '{shown}' for {name}, which is refused: files come from "
                              f"{shown_url(self.url)} only")  # fmt: skip
        return url

    def _is_right(self, target: Path, file: RemoteFile) -> bool:
        """Whether the file is there with the right md5; a wrong one is removed."""
        if not target.is_file():
            return False
        try:
            with target.open("rb") as stream:
                got = hashlib.file_digest(stream, "md5").hexdigest()
            if got == file.md5:
                return True
            target.unlink()
        except OSError as error:
            raise storage_error(error, target) from error
        _LOG.warning("%s has md5 %s, expected %s: it is fetched again", target, got, file.md5)
        return False

    def _error(self, what: str, words: str = "") -> ArchiveError:
        url = shown_url(self.url)
        return ArchiveError(
            f"Zenodo record {one_line(self.record, 40)} {what} ({url}); check {VARIABLE}, or run "
            "the same command again later",
            service="Zenodo", url=url, status=None, answer=words,
        )  # fmt: skip
