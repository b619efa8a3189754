"""Deepdip: the files of one item of a Girder server, by name, through its REST API.

``GET api/v1/item/{id}/files`` lists them (``_id``, ``name``, ``size``), and
``GET api/v1/file/{id}/download`` sends one, with ranges.  Girder states no checksum and no
validator: a transfer is resumed on the strength of the size alone, and what proves the file whole
is its own structure (the CRCs of a zip archive).

A large file is often at hand already, and a table may have to be brought beside it: files in the
folder that ``GALAXYDS_DEEPDIP_DIR`` names go before those of the item, and where one of them is an
``.npz``, the server is not asked at all.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxyds import settings
from galaxyds.archives.base import RemoteFile
from galaxyds.archives.calls import Policy
from galaxyds.archives.http import Http, rate_directory
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.records import is_plain_name, part_bytes, require_transfer_space
from galaxyds.archives.redact import looks_like_html, server_words, shown_url
from galaxyds.errors import ArchiveError, NotInArchiveError, UsageError, one_line, storage_error

VARIABLE = "GALAXYDS_DEEPDIP_URL"
FOLDER_VARIABLE = "GALAXYDS_DEEPDIP_DIR"
DEFAULT_URL = "https://deepdip.iap.fr"
# What this server answers was never seen; paths and fields are those of Girder in general.
_MOST_FILES = 100
_LIST = f"{{url}}/api/v1/item/{{item}}/files?limit={_MOST_FILES + 1}"
_DOWNLOAD = "{url}/api/v1/file/{file}/download"
INTERVAL = 1.0
"""Seconds between two requests."""
_ID = re.compile(r"[0-9a-f]{24}")
_LIST_BYTES = 1 << 20
_LARGEST_FILE = 200 * 10**9
"""Bytes; the cutouts of Pasquet et al. (2019) take about 54 GB."""
_WORTH_GOING_ON = 16 << 20
"""Bytes; a transfer that brought as many before it failed is taken up again."""
_FIRST_ATTEMPTS = 6
_LOG = logging.getLogger(__name__)


class DeepdipItem:
    """One item of a Girder server, and the files that a user has of it.

    Parameters
    ----------
    item : str
        Its id, 24 hexadecimal digits.
    url : str, optional
        Base URL of the server; by default the setting ``GALAXYDS_DEEPDIP_URL``.
    http : Http, optional
        Session.
    folder : pathlib.Path, optional
        Files that go before those of the item; by default the setting ``GALAXYDS_DEEPDIP_DIR``.
    expected : sequence of str
        Names of the files that are wanted, and of those that may stand beside them: a folder of
        one's own must hold one of them.

    Raises
    ------
    UsageError
        If the URL is no http(s) URL, or the folder is none.
    """

    name = "deepdip"

    def __init__(
        self,
        item: str,
        *,
        url: str | None = None,
        http: Http | None = None,
        folder: Path | None = None,
        expected: Sequence[str] = (),
    ) -> None:
        self.item = item
        self.url = (url or settings.url(VARIABLE, DEFAULT_URL)).rstrip("/")
        self.folder = folder or _own_folder()
        self.expected = tuple(expected)
        self.http = http or Http(
            "Deepdip", policy=Policy(first_attempts=_FIRST_ATTEMPTS), setting=VARIABLE,
            rate=RateLimit(INTERVAL, rate_directory()),
        )  # fmt: skip

    def endpoints(self) -> dict[str, str]:
        """Base URL in use; a folder of one's own holds files of the same item."""
        return {"items": shown_url(self.url)}

    def files(self) -> dict[str, RemoteFile]:
        """Return the files of the item, by name, in the order of names.

        Returns
        -------
        dict of str to RemoteFile
            ``md5`` is empty; ``url`` begins with ``file://`` for files of one's own.

        Raises
        ------
        NotInArchiveError
            If there is no such item.
        ArchiveError
            If the list cannot be read.
        UsageError
            If the folder of one's own holds none of the files that are expected.
        """
        own = self.own_files()
        if any(name.endswith(".npz") for name in own):
            return own
        return dict(sorted((self._listed() | own).items()))

    def fetch(self, file: RemoteFile, directory: Path) -> Path:
        """Put a file into ``directory``, resuming what is there of it, and check its size.

        A file of one's own becomes a link, so that its bytes are not there twice.

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
            If the transfer fails for good, or a web page comes instead of the file.
        DataIntegrityError
            If the size differs.
        StorageError
            If it does not fit on the disk, or cannot be written.
        """
        target = directory / file.name
        if file.url.startswith("file:"):
            return self._link(file, target)
        if target.is_file() and not target.is_symlink() and target.stat().st_size == file.bytes:
            return target
        require_transfer_space(target, file)
        while True:
            before = part_bytes(target)
            try:
                return self.http.fetch(file.url, target, max_bytes=file.bytes, size=file.bytes)
            except NotInArchiveError as error:
                raise self._with_way_out(error) from error
            except ArchiveError as error:
                # Tens of GB may be cut more often than a session tries; what grows goes on.
                if part_bytes(target) - before < _WORTH_GOING_ON:
                    raise self._with_way_out(error) from error
                _LOG.warning("%s", error)

    # files of one's own ----------------------------------------------------------------------

    def own_files(self) -> dict[str, RemoteFile]:
        """Return the files of one's own, by name; nothing is asked of the server.

        Raises
        ------
        UsageError
            If the folder holds none of the files that are expected.
        """
        if self.folder is None:
            return {}
        found = [p for p in sorted(self.folder.iterdir()) if p.is_file() and is_plain_name(p.name)]
        if self.expected and not {p.name for p in found} & set(self.expected):
            raise UsageError(
                f"{FOLDER_VARIABLE} names {self.folder}, and there is no {self.expected[0]} in it: "
                "name the folder that holds the file, or leave the variable out to fetch it"
            )
        return {
            path.name: RemoteFile(
                name=path.name, url=path.absolute().as_uri(), bytes=path.stat().st_size, md5=""
            )
            for path in found
        }

    def _link(self, file: RemoteFile, target: Path) -> Path:
        assert self.folder is not None
        source = (self.folder / file.name).absolute()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(source)
        except OSError as error:
            raise storage_error(error, target) from error
        return target

    # the answer ------------------------------------------------------------------------------

    def _listed(self) -> dict[str, RemoteFile]:
        """Ask for the list of the item's files."""
        if not _ID.fullmatch(self.item):
            raise UsageError(f"'{one_line(self.item, 40)}' is no id of an item: 24 hex digits")
        address = _LIST.format(url=self.url, item=self.item)
        try:
            answer = self.http.get(address, max_bytes=_LIST_BYTES)
        except ArchiveError as error:
            raise self._with_way_out(error) from error
        if looks_like_html(answer.body, answer.content_type):
            words = server_words(answer.body, "text/html")
            raise self._error(f"is answered with a web page instead of JSON: {words}", words)
        try:
            entries = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._error("is not answered with JSON") from error
        if not isinstance(entries, list):
            raise self._error("is answered without a list of files")
        if len(entries) > _MOST_FILES:
            raise self._error(f"lists more than {_MOST_FILES} files, which is refused")
        files = [file for entry in entries if (file := self._remote_file(entry)) is not None]
        if not files:
            raise self._error("lists no files")
        if len({file.name for file in files}) < len(files):
            raise self._error("lists a file twice")
        return {file.name: file for file in files}

    def _remote_file(self, entry: Any) -> RemoteFile | None:
        """Read one file; None if its name is passed over."""
        if not isinstance(entry, dict):
            raise self._error("lists a file that is no JSON object")
        name, key, size = (entry.get(field) for field in ("name", "_id", "size"))
        if not isinstance(name, str) or not is_plain_name(name):
            _LOG.warning("Deepdip: a file named '%s' is passed over", one_line(str(name), 80))
            return None
        if not isinstance(key, str) or not _ID.fullmatch(key):
            raise self._error(f"states no id of {name}")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _LARGEST_FILE:
            raise self._error(f"states a size of {one_line(str(size), 40)} for {name}, refused")
        address = _DOWNLOAD.format(url=self.url, file=key)
        return RemoteFile(name=name, url=address, bytes=size, md5="")

    # refusals --------------------------------------------------------------------------------

    def _error(self, what: str, words: str = "") -> ArchiveError:
        url = shown_url(self.url)
        error = ArchiveError(
            f"Deepdip item {one_line(self.item, 40)} {what} ({url})",
            service="Deepdip", url=url, status=None, answer=words,
        )  # fmt: skip
        return self._with_way_out(error)

    def _with_way_out(self, error: ArchiveError) -> ArchiveError:
        """Add what can be done without this server's API."""
        way = f"set {FOLDER_VARIABLE} to the folder that it is in"
        if self.folder is not None:
            way = f"put it into {self.folder}, which {FOLDER_VARIABLE} names"
        return type(error)(
            f"{error.message}; or get the file by other means (in a browser: "
            f"{shown_url(self.url)}/#item/{one_line(self.item, 40)}), and {way}",
            **error.values,
        )


def _own_folder() -> Path | None:
    """Folder of the setting, or None if it is not set."""
    named = settings.resolve(FOLDER_VARIABLE, "")
    if not named.value:
        return None
    folder = Path(named.value).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{FOLDER_VARIABLE} names no folder: '{folder}' from the {named.origin}")
    return folder
