"""Who is let in, and what is never written down."""

from __future__ import annotations

import pytest

from galaxyds.errors import UsageError
from galaxyds.serve.guard import Policy, host_name, is_loopback
from galaxyds.serve.server import policy_for, token_from
from tests.serve.running import client, running
from tests.serve.test_http import API, SHARD

SECRET = "hf_canary_9c2e7b51"
TOKEN = "given-by-the-user-0123"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "LOCALHOST:8080", "[::1]:8080"])
def test_loopback_names_are_let_in_whatever_the_port(hub, host):
    assert hub.get("/healthz", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421),
     ("10.0.0.7:8080", 421), ("evil.example:8080", 421), ("a b", 400), ("localhost:x", 400),
     ("user@localhost", 400), ("localhost/", 400), ("[::1", 400)],
)  # fmt: skip
def test_a_foreign_host_is_refused(hub, host, status):
    refused, _, body = hub.get(SHARD, Host=host)
    assert refused == status
    assert b"PAR1" not in body


def test_what_a_policy_admits():
    here = policy_for("127.0.0.1", token="")
    assert [here.admits(h) for h in ("localhost", "::1", "192.168.0.9", "me.lan")] == [
        True, True, False, False,
    ]  # fmt: skip
    lan = policy_for("0.0.0.0", token="x" * 20, allowed=("Me.lan",))
    assert [lan.admits(h) for h in ("192.168.0.9", "me.lan", "evil.example")] == [True, True, False]
    assert host_name("[::1]:80") == "::1"
    assert [is_loopback(h) for h in ("127.8.9.1", "::1", "0.0.0.0", "::", "my-machine")] == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.9", "my-machine"])
def test_other_machines_need_a_token(host):
    with pytest.raises(UsageError, match="add --token"):
        policy_for(host, token="")


def test_tokens():
    token, is_new = token_from("")
    assert (len(token) >= 32, is_new, token_from("")[0] != token) == (True, True, True)
    assert token_from(TOKEN) == (TOKEN, False)
    for bad in ("short", "with a space in it 123", "größer-als-sechzehn-zeichen", "x" * 20 + "\n"):
        with pytest.raises(UsageError, match="GALAXYDS_SERVE_TOKEN"):
            token_from(bad)
    policy = Policy(token=TOKEN)
    shown = (f"Bearer {TOKEN}", f"bearer {TOKEN}", TOKEN, f"Basic {TOKEN}", "Bearer ", "",
             f"Bearer {TOKEN}x", "Bearer ÿ")  # fmt: skip
    assert [policy.knows(one) for one in shown] == [True, True] + [False] * 6
    assert TOKEN not in repr(policy)


def test_no_secret_of_a_client_is_written_down(hub):
    header = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "User_Agent": SECRET}
    user = f"user:{SECRET}@localhost"
    for path in (SHARD, API, "/nothing", f"/{'a' * 5000}", "/datasets/%0d%0a/x",
                 f"http://{user}/x", f"ftp://{user}/x", f"{SECRET}/x"):  # fmt: skip
        hub.get(f"{path}?token={SECRET}", **header)
    hub.get(SHARD, Host="evil.example", **header)
    hub.get(f"{SHARD}?{SECRET}", "POST", SECRET.encode(), **header)
    hub.get(f"{SHARD}?{SECRET}", Range=f"bytes={SECRET}", **header)
    hub.get("/last")
    assert f"GET {SHARD} 200" in hub.logged("GET /last")
    assert SECRET not in hub.log()


def test_log_lines_stay_lines(hub):
    hub.get("/%0a%1b[31mforged%0d")
    lines = [line for line in hub.logged("forged").splitlines() if "forged" in line]
    assert len(lines) == 1
    assert lines[0].isprintable()


LOAD = """
import os
from huggingface_hub import HfApi
from datasets import load_dataset
token = os.environ.pop("HF_TOKEN")
try:
    load_dataset("galaxyds/tiny_two")
except Exception as error:
    print("REFUSED", type(error).__name__)
os.environ["HF_TOKEN"] = token
print("SHA", HfApi().dataset_info("galaxyds/tiny_two").sha)
print("ROWS", load_dataset("galaxyds/tiny_two", split="train").num_rows > 0)
"""


def test_with_a_token_only_its_bearer_is_answered(root, specs, tmp_path):
    options = ("--token", "-v", "--host", "0.0.0.0")
    with running(root, specs, tmp_path, *options, GALAXYDS_SERVE_TOKEN=TOKEN) as server:
        assert server.get(SHARD)[0] == 401
        assert server.get(SHARD, Authorization="Bearer wrong")[0] == 401
        assert server.get(SHARD, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert server.get("/healthz")[0] == 200
        out = client(LOAD, tmp_path / "in", server.url, HF_TOKEN=TOKEN)
        assert "REFUSED" in out
        assert "ROWS True" in out
        assert TOKEN not in server.log()
        assert "HF_TOKEN=THE_TOKEN" in server.log()
