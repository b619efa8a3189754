"""SciServer's login and CasJobs REST API over the same T-SQL as the SkyServer emulator."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping

import pyarrow as pa

from tests.servers.loopback import LoopbackServer, Reply, Request
from tests.servers.skyserver import TSQL, SqlError, csv

_INTO = re.compile(r" INTO mydb\.(\w+)(?= FROM )", re.IGNORECASE)
_DROP = re.compile(r"DROP TABLE (\w+)", re.IGNORECASE)


class CasJobsEmulator(LoopbackServer):
    """One user, jobs that need ``polls`` questions before they are finished."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        *,
        user: str = "ada",
        password: str = "canary-password",
        polls: int = 2,
    ) -> None:
        super().__init__()
        self.database = TSQL(tables)
        self.account = (user, password)
        self.polls = polls
        self.tokens: list[str] = []
        self.jobs: dict[int, list[int]] = {}
        self.failures: dict[int, str] = {}
        self.tables: set[str] = set()

    def stop(self) -> None:
        super().stop()
        self.database.connection.close()

    @property
    def rest_url(self) -> str:
        return f"{self.url}/CasJobs/RestApi"

    @property
    def auth_url(self) -> str:
        return f"{self.url}/login-portal/keystone/v3/tokens"

    def handle(self, request: Request) -> Reply:
        if request.path.startswith("/login-portal/"):
            return self.login(request)
        if request.headers.get("x-auth-token") not in self.tokens:
            return Reply(b"token is not valid", 401)
        parts = request.path.removeprefix("/CasJobs/RestApi/").split("/")
        if request.method == "PUT" and parts[2:] == ["jobs"]:
            return self.submit(request.json()["Query"])
        if request.method == "GET" and parts[0] == "jobs":
            return self.status(int(parts[1]))
        if request.method == "POST" and parts[2:] == ["query"]:
            return self.quick(request.json()["Query"])
        return Reply(b"no such call", 404)

    def login(self, request: Request) -> Reply:
        if request.method == "GET":
            known = request.path.rpartition("/")[2] in self.tokens
            user = {"name": self.account[0], "id": "k1"}
            return Reply(json.dumps({"token": {"user": user}}).encode(), 200 if known else 404)
        given = request.json()["auth"]["identity"]["password"]["user"]
        if (given["name"], given["password"]) != self.account:
            return Reply(b'{"error": {"message": "wrong password"}}', 401)
        self.tokens.append(f"canary-token-{secrets.token_hex(8)}")
        return Reply(b"{}", headers={"X-Subject-Token": self.tokens[-1]})

    def submit(self, statement: str) -> Reply:
        number = len(self.jobs) + 1
        self.jobs[number] = [0]
        target = _INTO.search(statement)
        try:
            if target is None:
                raise SqlError("nothing to write into")
            table = self.database.run(_INTO.sub("", statement))
            self.database.connection.register(target[1], table)
            self.tables.add(target[1])
        except SqlError as error:
            self.failures[number] = str(error)
        return Reply(str(number).encode(), headers={"Content-Type": "text/plain"})

    def status(self, number: int) -> Reply:
        asked = self.jobs[number]
        asked[0] += 1
        done = asked[0] > self.polls
        code = (4 if number in self.failures else 5) if done else 1
        body = {"JobID": number, "Status": code, "Message": self.failures.get(number, "")}
        return Reply(json.dumps(body).encode(), headers={"Content-Type": "application/json"})

    def quick(self, statement: str) -> Reply:
        dropped = _DROP.fullmatch(statement)
        if dropped:
            self.database.connection.unregister(dropped[1])
            self.tables.discard(dropped[1])
            return Reply(b"")
        try:
            text = csv(self.database.run(statement)).partition(b"\n")[2]
        except SqlError as error:
            return Reply(str(error).encode(), 400)
        return Reply(text, headers={"Content-Type": "text/plain"})
