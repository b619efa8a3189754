"""Speaking to a hub: which repository, as whom, and what its refusals mean.

The client is ``huggingface_hub``, which finds the endpoint (``HF_ENDPOINT``) and the token
(``HF_TOKEN``, or the file that ``hf auth login`` writes) itself.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import gaierror
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from galaxyds._version import __version__
from galaxyds.archives.redact import REDACTION, shown_url
from galaxyds.errors import (
    ArchiveError,
    CredentialsError,
    GalaxydsError,
    NotInArchiveError,
    UsageError,
    missing_extra,
    one_line,
    storage_error,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKENS = "https://huggingface.co/settings/tokens"
"""Where a token is made."""
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NETWORK = (ConnectionError, TimeoutError, gaierror, ssl.SSLError)
_UNREACHABLE = (
    errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL,
)  # fmt: skip
_PORTS = {"http": 80, "https": 443}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """A repository of a hub.

    Attributes
    ----------
    api : huggingface_hub.HfApi
        The client.
    repo_id : str
        ``owner/name``.
    """

    api: HfApi
    repo_id: str

    @property
    def endpoint(self) -> str:
        """Address of the hub, as it may be shown."""
        return shown_url(str(self.api.endpoint))

    def api_url(self, path: str) -> str:
        """Where to ask about the repository; not for people, it may hold a password."""
        return f"{self.api.endpoint}/api/datasets/{self.repo_id}{path}"

    @property
    def url(self) -> str:
        """Page of the repository."""
        return f"{self.endpoint}/datasets/{self.repo_id}"


def open_hub(repo_id: str, *, what: str) -> Hub:
    """Get ready to speak to a repository; nothing is sent yet.

    Parameters
    ----------
    repo_id : str
        ``owner/name``.
    what : str
        What needs the hub, in the user's words.

    Returns
    -------
    Hub
        Client and repository.

    Raises
    ------
    UsageError
        If the id is none, or ``HF_ENDPOINT`` no address.
    MissingExtraError
        If ``huggingface_hub`` is not installed.
    """
    if named := os.environ.get("HF_ENDPOINT"):
        _check_endpoint(named)  # the client cannot even be imported with some that are none
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise missing_extra("huggingface_hub", "hf", what) from error
    if _ID.fullmatch(repo_id) is None or ".." in repo_id:
        raise UsageError(
            f"'{repo_id}' is no repository: write owner/name, for example galaxyds/sdss_qso",
            repo=repo_id,
        )
    has_token()
    api = HfApi(library_name="galaxyds", library_version=__version__)
    _check_endpoint(str(api.endpoint))
    _tame_the_clients_log()
    return Hub(api=api, repo_id=repo_id)


def _check_endpoint(endpoint: str) -> None:
    """Refuse what is no address of a web server; hide a password that stands in it."""
    try:
        parts = urlsplit(endpoint)
        right = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise UsageError(
            "HF_ENDPOINT is no address of a hub: write it like https://huggingface.co, or unset it"
        )
    REDACTION.conceal(parts.netloc.rpartition("@")[0], parts.password or "")


class _OneLine(logging.Filter):
    """What the client logs holds words of the hub, and addresses: one line, without secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = one_line(REDACTION.clean(record.getMessage()), 600), None
        return True


_ONE_LINE = _OneLine()


def _tame_the_clients_log() -> None:
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_ONE_LINE)


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address: whom a request speaks to.

    Raises
    ------
    ValueError
        If it is no address.
    """
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


@contextmanager
def own_host_only(hub: Hub) -> Iterator[None]:
    """Keep the client from sending the token to a host that the hub names.

    It does so with the address at which an upload is to be confirmed.
    """
    from huggingface_hub.utils import _http

    before, first = _http._GLOBAL_CLIENT_FACTORY, origin(str(hub.api.endpoint))

    def withhold(request: Any) -> None:
        if origin(str(request.url)) != first and request.headers.pop("authorization", None):
            host = one_line(str(request.url.host), 80)
            _log.warning("the hub wants the token to be sent to %s: it is not", host)

    def guarded() -> Any:
        client = before()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "request": [*hooks.get("request", []), withhold]}
        return client

    _http.set_client_factory(guarded)
    try:
        yield
    finally:
        _http.set_client_factory(before)


def transport_error() -> type[Exception]:
    """Error of the transport: of httpx or a successor, whichever this version of the client uses.

    Refusals of the hub are such errors too.
    """
    from huggingface_hub.errors import HfHubHTTPError

    found: type[Exception] = HfHubHTTPError.__bases__[0]
    return found


def _invalid_url() -> type[Exception]:
    """What the transport raises for an address that it cannot read: an error of its own line."""
    module = sys.modules[transport_error().__module__.partition(".")[0]]
    found: type[Exception] = getattr(module, "InvalidURL", ValueError)
    return found


def has_token() -> bool:
    """Whether ``huggingface_hub`` finds a token; from now on it is hidden in what is shown."""
    from huggingface_hub import get_token

    token = get_token()
    if token:
        REDACTION.conceal(token)
    return bool(token)


@contextmanager
def speaking(hub: Hub, doing: str) -> Iterator[None]:
    """Turn what the client raises into errors of ours.

    Parameters
    ----------
    hub : Hub
        Whom the block speaks to.
    doing : str
        What for, in the user's words: ``reading the manifest``.

    Raises
    ------
    NotInArchiveError
        If there is no such repository, revision or file.
    CredentialsError
        If the hub wants a token, or refuses the one that it got.
    ArchiveError
        If it cannot be reached or refuses for another reason.
    StorageError
        If the machine cannot store what came.
    """
    # The client meets JSON of the wrong shape with whatever it stumbles over.
    stumbles = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
    try:
        yield
    except GalaxydsError:
        raise
    except (transport_error(), _invalid_url(), OSError, *stumbles) as error:
        raise _explained(hub, doing, error) from error


def _explained(hub: Hub, doing: str, error: Exception) -> GalaxydsError:
    refusal = _refusal(error)
    if refusal is not None:
        return _refused(hub, doing, refusal)
    if isinstance(error, OSError) and _is_local(error):
        return storage_error(error, error.filename or f"a file while {doing} {hub.url}")
    cause = shown(str(_deepest(error)) or type(error).__name__)
    return ArchiveError(
        f"{doing} {hub.url} failed: {cause}; check the network and HF_ENDPOINT ({hub.endpoint}), "
        "then run the same command again",
        service="hub",
        url=hub.url,
        status=None,
        answer=cause,
    )


def _is_local(error: OSError) -> bool:
    """Whether this machine is to blame; errors without a number are of the client's own."""
    network = isinstance(error, _NETWORK) or error.errno in _UNREACHABLE
    return error.errno is not None and not network


def _refusal(error: BaseException | None) -> Any:
    """Return the refusal of the hub that an error comes from, if it is one."""
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error


def _deepest(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _refused(hub: Hub, doing: str, error: Any) -> GalaxydsError:
    from huggingface_hub import errors

    status = int(error.response.status_code)
    words = shown(error.server_message or error.response.reason_phrase)
    values = {"service": "hub", "url": hub.url, "status": status, "answer": words}
    told = f"{doing} {hub.url}: the hub answers {status} ({words})"
    if isinstance(error, errors.GatedRepoError):
        advice = (
            f"ask for access on its page, then set HF_TOKEN to a token of that account ({TOKENS})"
        )
        return CredentialsError(f"{told}: the repository is gated, {advice}", **values)
    if isinstance(error, errors.RepositoryNotFoundError):
        who = "this token" if has_token() else "nobody without a token (HF_TOKEN)"
        return NotInArchiveError(
            f"{told}: no repository {hub.repo_id}, or none that {who} may see", **values
        )
    if status in (404, 410):
        return NotInArchiveError(told, **values)
    if status in (401, 403):
        return CredentialsError(f"{told}: {token_advice(hub)}", **values)
    return ArchiveError(f"{told}: run the same command again, later if it is busy", **values)


def token_advice(hub: Hub) -> str:
    """Say where a token is made and where to put it."""
    return (
        f"make a token that may write to {hub.repo_id.partition('/')[0]} at {TOKENS} and set "
        "HF_TOKEN, or run hf auth login"
    )


def shown(words: str) -> str:
    """Foreign words on one line, without the token."""
    return one_line(REDACTION.clean(words))


@contextmanager
def quiet_bars() -> Iterator[None]:
    """Keep the client's own progress bars off the terminal: ours are there."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
