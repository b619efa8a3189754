"""List requests to HSC services: a file of numbered lines up, a tar of numbered files back.

A line without data is simply absent from the answer, so what came is told by its line number; the
first line is number 2, behind the header.  An answer that breaks off keeps what came, and only the
other lines are asked for again.
"""

from __future__ import annotations

import base64
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Generic, NamedTuple, TypeVar

from galaxyds.archives.base import DAMAGED, NO_DATA, CutoutObject
from galaxyds.archives.calls import Call, Policy, Setback
from galaxyds.archives.hsc_session import Body, Connections, StreamHttp, shared_rate
from galaxyds.archives.hsc_settings import account, base_url, refused
from galaxyds.archives.redact import REDACTION, shown_url
from galaxyds.archives.tarstream import BLOCK, Member, TarStream
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    DataIntegrityError,
    NotInArchiveError,
    UsageError,
)

LIST_LINES = 990
"""Lines of a request: the service takes 1000, its own client sends this many."""
FILTERS = {"g": "HSC-G", "r": "HSC-R", "i": "HSC-I", "z": "HSC-Z", "y": "HSC-Y"}

_BOUNDARY = "galaxyds-list-2f6b1c"
_FIRST = 2  # number of the first line behind the header
_CHANCES = 2  # times that a damaged file is looked at
_LOG = logging.getLogger(__name__)
_TRACTS = 2  # files per line, on average, that overlapping tracts can give
_Content = TypeVar("_Content")


class Line(NamedTuple):
    """One line of a list: an object, by its place in the request, and a band."""

    place: int
    object: CutoutObject
    band: str

    @property
    def tract(self) -> int:
        """Tract that is asked for: the first part of the object's tile."""
        return self.object.tile[0]

    @property
    def filter(self) -> str:
        """The service's name of the band."""
        return FILTERS[self.band]


def lines_of(objects: Sequence[CutoutObject], bands: Sequence[str]) -> list[Line]:
    """Return the lines of a request, in the order in which the server has its files at hand.

    Raises
    ------
    UsageError
        If there is no such band, or an object names no tract.
    """
    for band in bands:
        if band not in FILTERS:
            raise UsageError(f"HSC has no band '{band}': it has {', '.join(FILTERS)}", band=band)
    for one in objects:
        if not one.tile:
            raise UsageError(f"object {one.object_id} names no tract: its tile is empty")
    lines = [Line(n, one, band) for n, one in enumerate(objects) for band in bands]
    return sorted(lines, key=lambda line: (line.tract, line.filter, line.object.ra, line.place))


def batches(
    objects: Sequence[CutoutObject], bands: Sequence[str]
) -> Iterator[Sequence[CutoutObject]]:
    """Cut a list of objects into requests; nothing is yielded for no bands.

    Raises
    ------
    UsageError
        If one object has more lines than a request.
    """
    size = list_objects(bands)
    for start in range(0, len(objects), size):
        yield objects[start : start + size]


def list_objects(bands: Sequence[str]) -> int:
    """Return how many objects, in all bands, fit into one request.

    Raises
    ------
    UsageError
        If no band is named.
    """
    if not bands:
        raise UsageError("a list request needs at least one band")
    return LIST_LINES // len(bands)


@dataclass(frozen=True, slots=True)
class Found(Generic[_Content]):
    """What came of a list.

    Attributes
    ----------
    kept : dict
        Contents by line and tract.
    damaged : frozenset of Line
        Lines whose file is damaged in the archive itself.
    """

    kept: dict[Line, dict[int, _Content]]
    damaged: frozenset[Line]

    def take(self, line: Line) -> dict[int, _Content]:
        """Give up the contents of a line, by tract; none if it is missing."""
        return self.kept.pop(line, {})

    def reason(self, line: Line) -> str:
        """Return why a line has no content."""
        return DAMAGED if line in self.damaged else NO_DATA


@dataclass(frozen=True, kw_only=True)
class ListService(Generic[_Content]):
    """One service that answers lists.

    Attributes
    ----------
    url : str
        Where lists go.
    http : StreamHttp
        The session; its service name stands in messages.
    connections : Connections
        Places that all processes of a user share.
    names : re.Pattern
        What a member is called, with the groups ``line``, ``filter`` and ``tract``.
    text : callable
        Takes lines, returns the list as it is sent.
    read : callable
        Takes a member and its line, returns the content; DataIntegrityError if it is damaged, with
        ``other_product`` if it is sound and not what was asked.
    most : int
        Largest acceptable member, in bytes.
    setting : str
        Setting that holds the address, for messages.
    """

    url: str
    http: StreamHttp
    connections: Connections
    names: re.Pattern[str]
    text: Callable[[Sequence[Line]], str]
    read: Callable[[Member, Line], _Content]
    most: int
    setting: str

    def fetch(self, lines: Sequence[Line]) -> Found[_Content]:
        """Ask for lines until each came or is known to be absent.

        Parameters
        ----------
        lines : sequence of Line
            At most :data:`LIST_LINES`.

        Returns
        -------
        Found
            What came of every line.

        Raises
        ------
        ArchiveError
            If the service fails for good.
        CredentialsError
            If it does not accept the account.
        DataIntegrityError
            If an answer breaks the protocol, or brings another product than was asked.
        """
        request = _Request(self)
        waiting = list(lines)
        while waiting:
            # Without credentials: the call names the address in the error, no more.
            address = Call(method="POST", url=self.url, secret=True)
            try:
                waiting = self.http.persist(partial(request.attempt, tuple(waiting)), address)
            except CredentialsError as error:
                raise refused(error) from None
            except NotInArchiveError as error:
                # What is absent is an object without a file; here the service itself is.
                raise ArchiveError(f"{error.message}: {self.advice}", **error.values) from None
            if waiting:
                self.http.rest()
        spoilt = {line for line, times in request.damaged.items() if times >= _CHANCES}
        return Found(request.kept, frozenset(spoilt - set(request.kept)))

    def call(self, lines: Sequence[Line]) -> Call:
        """Return the request: one file as multipart/form-data, the account as HTTP Basic."""
        found = account(self.url, self.setting)
        token = base64.b64encode(f"{found.user}:{found.password}".encode()).decode("ascii")
        REDACTION.conceal(token)
        body = (
            f"--{_BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="list"; filename="list.txt"\r\n'
            f"Content-Type: text/plain\r\n\r\n{self.text(lines)}\r\n--{_BOUNDARY}--\r\n"
        )
        headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        }
        return Call(method="POST", url=self.url, headers=headers, body=body.encode(), secret=True)

    def broken(self, what: str) -> DataIntegrityError:
        """Make the error for an answer that breaks the protocol."""
        return DataIntegrityError(
            f"{self.source} sends {what}: nothing of it is kept; {self.advice}",
            file=self.source, expected="the files that were asked", got=what,
        )  # fmt: skip

    @property
    def advice(self) -> str:
        """What a user can do about an answer that breaks the protocol."""
        return f"check {self.setting}"

    @property
    def source(self) -> str:
        """Who answers, for messages."""
        return f"{self.http.service} ({shown_url(self.url)})"


class ListClient:
    """A service of the survey that takes lists; what it is asked, subclasses know.

    Parameters
    ----------
    url : str, optional
        The service; the setting by default.
    http : StreamHttp, optional
        The session.
    connections : Connections, optional
        Places that all processes of a user share.

    Attributes
    ----------
    service : str
        For messages.
    setting : str
        Setting that holds the address.
    """

    service: ClassVar[str]
    setting: ClassVar[str]

    def __init__(
        self,
        url: str | None = None,
        *,
        http: StreamHttp | None = None,
        connections: Connections | None = None,
    ) -> None:
        self.url = url or base_url(self.setting)
        # Making 990 cutouts takes the service minutes; its own client waits for an hour.
        self.http = http or StreamHttp(
            self.service,
            policy=Policy(timeout=(15.0, 1800.0)),
            rate=shared_rate(),
            setting=self.setting,
        )
        self.connections = connections or Connections()


class _Request(Generic[_Content]):
    """What has come of one list so far."""

    def __init__(self, service: ListService[_Content]) -> None:
        self.service = service
        self.kept: dict[Line, dict[int, _Content]] = {}
        self.damaged: Counter[Line] = Counter()

    def attempt(self, asked: Sequence[Line]) -> list[Line] | Setback:
        """Ask once; return the lines that are to be asked for again."""
        service, before = self.service, sum(map(len, self.kept.values()))
        room = len(asked) * _TRACTS * (service.most + 8 * BLOCK) + (1 << 20)
        with service.connections.one(service.url):
            outcome = service.http.attempt(
                service.call(asked), lambda body: self._consume(body, asked), max_bytes=room
            )
        if isinstance(outcome, Setback) and sum(map(len, self.kept.values())) > before:
            return [line for line in asked if line.tract not in self.kept.get(line, {})]
        return outcome

    def _consume(self, body: Body, asked: Sequence[Line]) -> list[Line]:
        """Keep the files of an answer; return the lines whose file is damaged."""
        service, again = self.service, []
        stream = TarStream(
            body.read, source=service.source, names=service.names, most=service.most,
            complete=body.complete, advice=service.advice,
        )  # fmt: skip
        numbered = dict(enumerate(asked, start=_FIRST))
        came: set[tuple[Line, int]] = set()
        for member in stream:
            line, tract = numbered.get(int(member.name["line"])), int(member.name["tract"])
            if line is None or member.name["filter"] != line.filter:
                raise service.broken(
                    f"a file '{member.name[0]}', which answers no line of the list"
                )
            if (line, tract) in came:
                raise service.broken(f"two files of tract {tract} for line {member.name['line']}")
            came.add((line, tract))
            try:
                content = service.read(member, line)
            except DataIntegrityError as error:
                if error.values.get("other_product"):
                    raise
                _LOG.warning("%s", error.message)
                self.damaged[line] += 1
                if self.damaged[line] < _CHANCES:
                    again.append(line)
                continue
            self.kept.setdefault(line, {})[tract] = content
        return again
