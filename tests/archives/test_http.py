"""The session against a loopback server: what it retries, refuses, hides and says."""

from __future__ import annotations

import email.utils
import logging
import pickle
import traceback

import pytest

from galaxyds._version import __version__
from galaxyds.archives.calls import Call, Policy
from galaxyds.archives.http import Http
from galaxyds.archives.rate import RateLimit
from galaxyds.archives.redact import REDACTION, server_words, shown_url
from galaxyds.errors import ArchiveError, CredentialsError, NotInArchiveError
from tests.servers import Fault, LoopbackServer, Reply, Request

CANARY = "canary-7f3a9b"
MAX = 1 << 20


class Echo(LoopbackServer):
    """Answers every request with the same bytes."""

    def handle(self, request: Request) -> Reply:
        return Reply(b"data\n" * 1000, headers={"Content-Type": "text/plain"}, chunked=True)


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


def test_it_says_who_it_is_and_wants_plain_bytes(http, echo):
    answer = http.get(f"{echo.url}/x?a=1", max_bytes=MAX)
    assert answer.body == b"data\n" * 1000
    assert echo.requests[0].headers["user-agent"] == f"galaxyds/{__version__}"
    assert echo.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", ["503", "429", "500", "drop", "cut", "cut-chunked"])
def test_what_may_pass_is_tried_again(http, echo, kind):
    echo.fail(kind, kind)
    assert http.get(f"{echo.url}/x", max_bytes=MAX).body == b"data\n" * 1000
    assert len(echo.requests) == 3


def test_pauses_grow_and_end(http, echo, fake_time):
    echo.fail(*["503"] * 10)
    with pytest.raises(ArchiveError, match=r"Test archive failed 10 times .* HTTP 503: busy"):
        http.get(f"{echo.url}/x", max_bytes=MAX)
    assert len(echo.requests) == 10
    waits = [pause for pause in fake_time.pauses if pause]
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_retry_after_is_obeyed_in_seconds_and_as_a_date_up_to_a_limit(http, echo, fake_time):
    date = email.utils.formatdate(fake_time.time + 7 + 40, usegmt=True)
    echo.fail(
        "429",
        Fault("503", headers={"Retry-After": date}),
        Fault("503", headers={"Retry-After": "86400"}),
        Fault("503", headers={"Retry-After": "soon"}),
    )
    http.get(f"{echo.url}/x", max_bytes=MAX)
    assert [pause for pause in fake_time.pauses if pause] == [7, 40, 120, 2]


def test_a_500_that_speaks_json_is_an_answer(http, echo):
    echo.fail("500json")
    with pytest.raises(ArchiveError, match="HTTP 500: Invalid column name 'petroRad'") as caught:
        http.get(f"{echo.url}/x", max_bytes=MAX)
    assert len(echo.requests) == 1
    assert caught.value.status == 500
    assert caught.value.answer == "Invalid column name 'petroRad'."


@pytest.mark.parametrize(("kind", "status"), [("404", 404), ("410", 410)])
def test_a_missing_file_has_its_own_error(http, echo, kind, status):
    echo.fail(kind)
    with pytest.raises(NotInArchiveError, match=rf"has no {echo.url}/x \(HTTP {status}\)"):
        http.get(f"{echo.url}/x", max_bytes=MAX)


def test_nobody_there(http, closed_url):
    words = r"failed 10 times .*: Connection refused; check the network, then run the same command"
    with pytest.raises(ArchiveError, match=words):
        http.get(f"{closed_url}/x", max_bytes=MAX)


class TestFirstContact:
    @pytest.fixture
    def hasty(self, http):
        http.policy, http.setting = Policy(first_attempts=3), "GALAXYDS_TEST_URL"
        return http

    def test_a_wrong_address_is_said_soon(self, hasty, closed_url):
        words = r"failed 3 times .*: Connection refused; check the network and GALAXYDS_TEST_URL, "
        with pytest.raises(ArchiveError, match=words):
            hasty.get(f"{closed_url}/x", max_bytes=MAX)

    def test_an_unknown_name(self, hasty):
        words = r"failed 3 times .*: host name not known; check the network and GALAXYDS_TEST_URL"
        with pytest.raises(ArchiveError, match=words):
            hasty.get("http://no-such-host.invalid/x", max_bytes=MAX)

    def test_what_has_answered_once_is_waited_for(self, hasty, echo, closed_url):
        hasty.get(f"{echo.url}/x", max_bytes=MAX)
        with pytest.raises(ArchiveError, match="failed 10 times"):
            hasty.get(f"{closed_url}/x", max_bytes=MAX)

    @pytest.mark.parametrize("kind", ["503", "drop", "cut"])
    def test_what_listens_is_waited_for(self, hasty, echo, kind):
        echo.fail(*[kind] * 5)
        assert hasty.get(f"{echo.url}/x", max_bytes=MAX).status == 200

    def test_a_service_that_fails_is_no_wrong_address(self, hasty, echo):
        echo.fail(*["drop"] * 10)
        with pytest.raises(ArchiveError) as caught:
            hasty.get(f"{echo.url}/x", max_bytes=MAX)
        assert "GALAXYDS_TEST_URL" not in caught.value.message


def test_too_many_bytes_are_not_read(http, echo):
    with pytest.raises(ArchiveError, match="more than 100 bytes"):
        http.get(f"{echo.url}/x", max_bytes=100)


def test_a_compressed_body_is_never_decoded(http, echo):
    echo.fail("gzip-bomb")
    with pytest.raises(ArchiveError, match="sends gzip although plain bytes were asked"):
        http.get(f"{echo.url}/x", max_bytes=MAX)


def test_an_incomplete_answer_is_asked_again(http, echo):
    echo.fail(Fault("cut-close", after=12))
    answer = http.get(f"{echo.url}/x", max_bytes=MAX, complete=lambda a: a.body.endswith(b"\n"))
    assert len(answer.body) == 5000
    assert len(echo.requests) == 2


class TestRedirects:
    @pytest.fixture
    def other(self):
        with Echo() as server:
            yield server

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_credentials_follow_none(self, http, echo, other, status):
        echo.fail(Fault("redirect", status=status, headers={"Location": f"{other.url}/y"}))
        call = Call(
            method="POST", url=f"{echo.url}/login", json={"password": CANARY},
            headers={"X-Auth-Token": CANARY}, secret=True,
        )  # fmt: skip
        with pytest.raises(ArchiveError, match=r"redirects to .*/y, which is not followed"):
            http.send(call, max_bytes=MAX)
        assert other.requests == []
        assert len(echo.requests) == 1

    def test_an_account_in_the_url_follows_none(self, http, echo, other):
        echo.fail(Fault("redirect", headers={"Location": f"{other.url}/y"}))
        with pytest.raises(ArchiveError, match="which is not followed") as caught:
            http.get(echo.url.replace("://", f"://ada:{CANARY}@") + "/x", max_bytes=MAX)
        assert other.requests == []
        assert CANARY not in str(caught.value)

    def test_a_plain_get_follows(self, http, echo, other):
        echo.fail(Fault("redirect", headers={"Location": f"{other.url}/y?b=2"}))
        assert http.get(f"{echo.url}/x", max_bytes=MAX).status == 200
        assert other.requests[0].query == {"b": "2"}

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
    def test_only_to_the_web(self, http, echo, target):
        echo.fail(Fault("redirect", headers={"Location": target}))
        with pytest.raises(ArchiveError, match="which is refused"):
            http.get(f"{echo.url}/x", max_bytes=MAX)

    def test_not_in_circles(self, http, echo):
        echo.fail(*[Fault("redirect", headers={"Location": "/x"})] * 8)
        with pytest.raises(ArchiveError, match="redirects in circles"):
            http.get(f"{echo.url}/x", max_bytes=MAX)


def test_setbacks_are_logged(http, echo, caplog):
    caplog.set_level(logging.INFO, "galaxyds")
    echo.fail("503")
    http.get(f"{echo.url}/x?secret=1", max_bytes=MAX)
    assert caplog.messages == ["Test archive: HTTP 503: busy; attempt 2 of 10 in 0 s"]


def test_netrc_is_not_read(http, echo, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ada password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    http.get(f"{echo.url}/x", max_bytes=MAX)
    assert "authorization" not in echo.requests[0].headers


def test_a_refused_account_is_a_credentials_error(http, echo):
    echo.fail("401")
    call = Call(method="GET", url=f"{echo.url}/x", secret=True)
    with pytest.raises(CredentialsError, match=r"refuses the account \(HTTP 401\): who are you\?"):
        http.send(call, max_bytes=MAX)


class TestSecrets:
    """A password, a token in a path and a secret in a query show nowhere."""

    @pytest.mark.parametrize("kind", ["", "503", "500json", "404", "401", "drop", "redirect"])
    def test_nowhere(self, http, echo, caplog, kind):
        REDACTION.conceal(CANARY)
        caplog.set_level(logging.DEBUG)
        http.policy = Policy(attempts=2)
        said = b'{"error": "no such user: canary-7f3a9b"}'
        echo.fail(*([Fault(kind, body=said if kind == "500json" else b"")] * 2 if kind else []))
        call = Call(
            method="POST", url=f"{echo.url}/tokens/{CANARY}?password={CANARY}", secret=True,
            json={"password": CANARY}, headers={"X-Auth-Token": CANARY},
        )  # fmt: skip
        shown = ""
        try:
            http.send(call, max_bytes=MAX)
        except ArchiveError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        except CredentialsError as error:
            shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        assert bool(shown) == bool(kind)
        assert CANARY not in shown
        assert echo.requests[0].json() == {"password": CANARY}
        records = [r.getMessage() for r in caplog.records if r.name.startswith("urllib3")]
        assert any("POST" in text for text in records) or kind == "drop"
        assert CANARY not in caplog.text

    def test_a_query_string_is_not_logged(self, http, echo, caplog):
        caplog.set_level(logging.DEBUG)
        http.get(f"{echo.url}/x?key=never-told-to-anybody", max_bytes=MAX)
        assert "GET /x?***" in caplog.text
        assert "never-told" not in caplog.text

    def test_user_and_password_in_a_url(self):
        assert shown_url("https://ada:secret@host:8/p?q=1#f") == "https://host:8/p"


def test_server_words_are_one_clean_line():
    page = b"<html><head><title>Oops</title><style>p{}</style></head><body><p>No\x1b[31m &amp; n\n"
    assert server_words(page) == "Oops: No [31m & n"
    assert server_words(b"[/red] markup stays text\x00") == "[/red] markup stays text"
    assert server_words(b'{"message": "a\\nb"}') == "a b"
    assert server_words(b"[" * 30_000).startswith("[[")
    assert len(server_words(b"x" * 10_000)) == 300


def test_a_session_can_be_sent_to_a_worker(http, echo):
    session = pickle.loads(pickle.dumps(Http("Test archive", rate=RateLimit(0.0))))
    assert session.get(f"{echo.url}/x", max_bytes=MAX).status == 200
