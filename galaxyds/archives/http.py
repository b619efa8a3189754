"""The one HTTP session of all archives.

It identifies itself, asks a host at a limited rate, retries what may pass (connection cuts, 429,
502, 503, 504, a 500 without words) with growing pauses or as long as ``Retry-After`` says, reads no
more than it was told to, resumes files, and gives a file its name only when it is complete.

What it does not do: take accounts from ``.netrc``, follow a redirect with a request that carries
credentials, decode a compressed body (so no small body can become a large one), accept a web page
where data were asked, or show a query string or a token in a log or an error.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from galaxyds._version import __version__
from galaxyds.archives.calls import (
    Answer,
    Call,
    Policy,
    Setback,
    cause,
    is_unreachable,
    refused_redirect,
    stated_pause,
)  # fmt: skip
from galaxyds.archives.partial import Expected, PartFile, content_range, range_refused
from galaxyds.archives.rate import Clock, RateLimit
from galaxyds.archives.redact import install, looks_like_html, server_words, shown_url
from galaxyds.errors import ArchiveError, CredentialsError, DataIntegrityError, NotInArchiveError

USER_AGENT = f"galaxyds/{__version__}"
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LOG = logging.getLogger(__name__)
_PATIENCE = 2  # setbacks of one request that a person need not hear of
_MOST_REDIRECTS = 5
_CHUNK = 1 << 16
_WORDS_BYTES = 1 << 16
_COMPRESSED = {"gzip": ".gz", "x-gzip": ".gz", "bzip2": ".bz2", "x-bzip2": ".bz2", "zstd": ".zst"}


def spread() -> float:
    """Return a random number in [0, 1): what keeps many clients from knocking together."""
    return random.random()


install()
_Result = TypeVar("_Result")


def rate_directory() -> Path:
    """Folder of the request slots that all processes of a user share."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("galaxyds")) / "rate"


class Http:
    """Requests to one service.

    Parameters
    ----------
    service : str
        Its name in messages.
    policy : Policy
        Attempts, pauses, time limits.
    rate : RateLimit, optional
        Shared limit per host; by default ten requests per second, in this process.
    clock : Clock
        Time.
    jitter : callable
        Returns a number in [0, 1) that spreads the pauses.
    setting : str
        Setting that holds the address, for the message that nobody is there.
    """

    def __init__(
        self,
        service: str,
        *,
        policy: Policy | None = None,
        rate: RateLimit | None = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] = spread,
        setting: str = "",
    ) -> None:
        self.service = service
        self.setting = setting
        self.reached = False
        self.policy = policy or Policy()
        self.clock = clock or Clock()
        self.rate = rate or RateLimit(0.1, clock=self.clock)
        self.jitter = jitter
        self._local = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._local = threading.local()

    def get(
        self,
        url: str,
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        complete: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """Fetch a small answer into memory.

        Parameters
        ----------
        url : str
            Complete, with its query.
        max_bytes : int
            Largest acceptable body.
        headers : mapping, optional
            Beside the session's own.
        complete : callable, optional
            Says whether an answer whose length the server did not state is whole; if not, the
            request is repeated as after a cut connection.

        Returns
        -------
        Answer
            With a status of 200 to 299.

        Raises
        ------
        NotInArchiveError
            On 404 and 410.
        ArchiveError
            On any other refusal, and when all attempts are used up.
        """
        call = Call(method="GET", url=url, headers=headers or {})
        return self.send(call, max_bytes=max_bytes, complete=complete)

    def send(
        self,
        call: Call,
        *,
        max_bytes: int,
        complete: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """Send any request; errors as :meth:`get`.

        Parameters
        ----------
        call : Call
            The request.
        max_bytes : int
            Largest acceptable body.
        complete : callable, optional
            As in :meth:`get`.

        Returns
        -------
        Answer
            With a status of 200 to 299.

        Raises
        ------
        CredentialsError
            If a request with credentials is answered by 401 or 403.
        ArchiveError
            On any other refusal, and when all attempts are used up.
        """

        def once() -> Answer | Setback:
            reply = self._open(call)
            if isinstance(reply, Setback):
                return reply
            with reply:
                body = self._body(reply, max_bytes)
            if isinstance(body, Setback):
                return body
            answer = Answer(
                status=reply.status_code, headers=reply.headers, body=body, url=_shown(reply)
            )
            whole = complete is None or complete(answer)
            return answer if whole else Setback("the answer ended too early")

        return self._retrying(once, call)

    def fetch(
        self,
        url: str,
        destination: Path,
        *,
        max_bytes: int,
        sha256: str | None = None,
        md5: str | None = None,
        check: Callable[[Path], None] | None = None,
        size: int | None = None,
    ) -> Path:
        """Fetch a file, going on where an earlier attempt or process stopped.

        Parameters
        ----------
        url : str
            Where it is.
        destination : pathlib.Path
            Its name; bytes gather in ``<destination>.part`` until they are complete and checked.
        max_bytes : int
            Largest acceptable size.
        sha256, md5 : str, optional
            Published checksum.
        check : callable, optional
            Structural check of the finished file; raises DataIntegrityError.
        size : int, optional
            Published size; of a file without checksum or validator, only one of a published size
            is resumed.

        Returns
        -------
        pathlib.Path
            ``destination``.

        Raises
        ------
        NotInArchiveError
            On 404 and 410.
        ArchiveError
            If the transfer is refused or fails for good, or a web page comes instead.
        DataIntegrityError
            If the file is wrong twice, or sound and another product than was asked.
        StorageError
            If it cannot be written.
        """
        expected = Expected(max_bytes=max_bytes, sha256=sha256, md5=md5, check=check, size=size)
        part = PartFile(url, destination, expected)
        while True:
            with part.alone() as mine:
                if mine:
                    return self._retrying(lambda: self._attempt(part), Call(method="GET", url=url))
            if destination.exists():
                return destination

    # one attempt -----------------------------------------------------------------------------

    def _attempt(self, part: PartFile) -> Path | Setback:
        setback = self._receive(part)
        if setback is not None:
            return setback
        try:
            part.verify()
        except DataIntegrityError as error:
            if part.rejected > 1 or error.values.get("other_product"):
                raise
            return Setback(error.message)
        return part.publish()

    def _receive(self, part: PartFile) -> Setback | None:
        """Bring the part file to its full length, or say why not."""
        asked = part.resume_headers()
        call = Call(method="GET", url=part.url, headers=asked)
        reply = self._open(call, accepted=(416,) if asked else ())
        if isinstance(reply, Setback):
            return reply
        with reply:
            if reply.status_code == 416:
                return range_refused(part, reply.headers)
            offset = 0
            if reply.status_code == 206:
                first, _, whole = content_range(reply.headers.get("Content-Range", ""))
                if first is None or first != part.size or not asked:
                    part.discard()
                    return Setback("the server sent another part of the file than was asked")
                if None not in (whole, part.expected.size) and whole != part.expected.size:
                    part.discard()
                    return Setback("the file has changed since its first part was fetched")
                offset = first
            self._refuse_size(reply, offset, part.expected.max_bytes)
            part.remember(reply.headers)
            return self._pour(reply, part, offset)

    def _pour(self, reply: requests.Response, part: PartFile, offset: int) -> Setback | None:
        total, limit = offset, part.expected.max_bytes
        try:
            with part.writing(offset) as write:
                for chunk in reply.raw.stream(_CHUNK, decode_content=False):
                    if total == 0:
                        self._refuse_page(reply, chunk)
                    total += len(chunk)
                    if total > limit:
                        raise self._error(f"is larger than {limit} bytes", reply)
                    write(chunk)
        except urllib3.exceptions.HTTPError as error:
            return Setback(f"connection cut after {total} bytes ({cause(error)})")
        stated = content_range(reply.headers.get("Content-Range", ""))[2]
        if stated is not None and total != stated:
            return Setback(f"connection cut after {total} of {stated} bytes")
        return None

    def _open(self, call: Call, *, accepted: tuple[int, ...] = ()) -> requests.Response | Setback:
        """Send, follow harmless redirects, and sort the answer by its status."""
        url = call.url
        for hops in itertools.count():
            reply = self._send_once(call, url)
            if isinstance(reply, Setback):
                return reply
            if reply.status_code not in _REDIRECTS:
                return self._sorted(call, reply, accepted)
            with reply:
                if hops == _MOST_REDIRECTS:
                    raise self._error("redirects in circles", reply)
                url = self._redirected(call, url, reply)
        raise AssertionError("unreachable")

    def _send_once(self, call: Call, url: str) -> requests.Response | Setback:
        self.rate.wait(urlsplit(url).netloc.rpartition("@")[2])
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **call.headers}
        try:
            reply = self._session().request(
                call.method, url, headers=headers, json=call.json, data=call.body, stream=True,
                allow_redirects=False, timeout=self.policy.timeout,
                proxies=requests.utils.get_environ_proxies(url, no_proxy=None),
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
            )  # fmt: skip
        except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
            reason = cause(error)
        except requests.exceptions.RequestException as error:
            return Setback(cause(error), unreachable=is_unreachable(error))
        else:
            self.reached = True
            return reply
        # Outside of the except clause: the original text, with its query, is not chained.
        raise ArchiveError(
            f"{self.service} cannot be asked at {shown_url(url)}: {reason}",
            service=self.service, url=shown_url(url), status=None, answer="",
        )  # fmt: skip

    def _session(self) -> requests.Session:
        """Return this thread's session: requests does not promise that threads may share one."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.trust_env = False  # no accounts from .netrc
            self._local.session = session
        found: requests.Session = self._local.session
        return found

    def _redirected(self, call: Call, url: str, reply: requests.Response) -> str:
        target = urljoin(url, reply.headers.get("Location", ""))
        refusal = refused_redirect(call, url, target)
        if refusal:
            raise self._error(f"redirects to {shown_url(target)}, {refusal}", reply)
        return target

    def _sorted(
        self, call: Call, reply: requests.Response, accepted: tuple[int, ...]
    ) -> requests.Response | Setback:
        status = reply.status_code
        if 200 <= status < 300 or status in accepted:
            return reply
        with reply:
            body = self._body(reply, _WORDS_BYTES, strict=False)
        words = body.reason if isinstance(body, Setback) else server_words(body, _type(reply))
        # A 500 that speaks JSON is a service's own answer: asking again brings the same words.
        spoken = status == 500 and _type(reply).endswith("json") and bool(words)
        if status in RETRIED and not spoken:
            return Setback(
                f"HTTP {status}{': ' if words else ''}{words}", status,
                stated_pause(reply.headers, self.clock.now()), refused=status in (429, 503),
            )  # fmt: skip
        if call.secret and status in (401, 403):
            raise CredentialsError(
                f"{self.service} refuses the account (HTTP {status}): {words or 'no reason given'}",
                service=self.service, url=_shown(reply), status=status, answer=words,
            )  # fmt: skip
        if status in (404, 410):
            raise NotInArchiveError(
                f"{self.service} has no {_shown(reply)} (HTTP {status})",
                service=self.service, url=_shown(reply), status=status, answer=words,
            )  # fmt: skip
        raise self._error(f"answers HTTP {status}: {words or 'no reason given'}", reply, words)

    def _body(
        self, reply: requests.Response, max_bytes: int, *, strict: bool = True
    ) -> bytes | Setback:
        if strict:
            self._refuse_size(reply, 0, max_bytes)
        pieces, total = [], 0
        try:
            for chunk in reply.raw.stream(_CHUNK, decode_content=False):
                pieces.append(chunk)
                total += len(chunk)
                if total > max_bytes and strict:
                    raise self._error(f"answers with more than {max_bytes} bytes", reply)
                if total > max_bytes:
                    break
        except urllib3.exceptions.HTTPError as error:
            return Setback(f"connection cut after {total} bytes ({cause(error)})")
        return b"".join(pieces)[: max_bytes + 1]

    # refusals --------------------------------------------------------------------------------

    def _refuse_size(self, reply: requests.Response, offset: int, max_bytes: int) -> None:
        encoding = reply.headers.get("Content-Encoding", "identity").strip().lower()
        suffix = _COMPRESSED.get(encoding)
        named = suffix is not None and urlsplit(reply.url).path.endswith(suffix)
        if encoding not in ("identity", "") and not named:
            raise self._error(f"sends {encoding} although plain bytes were asked", reply)
        length = reply.headers.get("Content-Length", "")
        if length.isdigit() and offset + int(length) > max_bytes:
            raise self._error(
                f"announces {offset + int(length)} bytes where at most {max_bytes} are expected",
                reply,
            )

    def _refuse_page(self, reply: requests.Response, start: bytes) -> None:
        if looks_like_html(start, _type(reply)):
            words = server_words(start, "text/html")
            raise self._error(f"answers with a web page instead of data: {words}", reply, words)

    def _error(self, what: str, reply: requests.Response, words: str = "") -> ArchiveError:
        url = _shown(reply)
        return ArchiveError(
            f"{self.service} {what} ({url})",
            service=self.service, url=url, status=reply.status_code, answer=words,
        )  # fmt: skip

    # patience --------------------------------------------------------------------------------

    def _retrying(self, once: Callable[[], _Result | Setback], call: Call) -> _Result:
        last = Setback("not tried")
        for attempt in range(self.policy.attempts):
            result = once()
            if not isinstance(result, Setback):
                return result
            last = result
            most = self.policy.tries(self.reached or not last.unreachable)
            if attempt + 1 >= most or not (call.repeatable or last.refused):
                break
            pause = self._pause(attempt, last.retry_after)
            level = logging.WARNING if attempt >= _PATIENCE else logging.INFO
            words = "%s: %s; attempt %d of %d in %.0f s"
            _LOG.log(level, words, self.service, last.reason, attempt + 2, most, pause)
            self.clock.sleep(pause)
        url = shown_url(call.url)
        raise ArchiveError(
            f"{self.service} failed {attempt + 1} times at {url}, the last time: {last.reason}; "
            f"{self._next_step(last)}", service=self.service, url=url, status=last.status,
            answer=last.reason,
        )  # fmt: skip

    def _next_step(self, last: Setback) -> str:
        if not last.unreachable:
            return "run the same command again later to go on"
        setting = f" and {self.setting}" if self.setting else ""
        again = "then run the same command again (galaxyds doctor says what can be reached)"
        return f"check the network{setting}, {again}"

    def _pause(self, attempt: int, stated: float | None) -> float:
        return self.policy.pause(attempt, stated, self.jitter())


def _type(reply: requests.Response) -> str:
    return reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _shown(reply: requests.Response) -> str:
    return shown_url(reply.url)
