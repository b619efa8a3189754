"""Builds a dataset from the simulated sky: wall time, peak memory, and the same bytes always.

    python benchmarks/build.py [sdss-qso] [--limit 2000] [--root DIR]

Runs `galaxyds build` with two workers (timed, memory of the whole process tree sampled), a second
time (everything skipped), with one worker, and with SIGKILL to the whole group at five random
moments followed by a resume; compares the sha256 of every data file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

GOALS = {"sdss-qso": "120 s, 1.5 GB", "hsc-galaxiesml": "180 s, 1.5 GB"}


def command(name: str, root: Path, limit: int, jobs: int) -> list[str]:
    return [
        sys.executable, "-m", "galaxyds_cli.main", "build", name, "--archive", "simulated",
        "--limit", str(limit), "--root", str(root), "--jobs", str(jobs),
    ]  # fmt: skip


def tree_memory(process: psutil.Process) -> int:
    """Proportional set size of a process and its children: shared pages count once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def run(arguments: list[str], *, kill_after: float | None = None) -> tuple[float, int, int]:
    """Run a command; return seconds, peak bytes of its process tree, and its exit code."""
    begun = time.monotonic()
    process = subprocess.Popen(
        arguments, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, tree_memory(watched))
        except psutil.Error:
            break
        if kill_after is not None and time.monotonic() - begun > kill_after:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.1)
    error = process.communicate()[1].decode()
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"the build failed: {error}")
    return time.monotonic() - begun, peak, process.returncode


def digests(root: Path) -> dict[str, str]:
    """Sha256 of every data file below ``root``, from the manifests of its builds."""
    return {
        f"{manifest.parents[1].name}/{name}": record["sha256"]
        for manifest in sorted(root.glob("*/*/*/manifest.json"))
        for name, record in json.loads(manifest.read_text())["files"].items()
    }


def killed_and_resumed(arguments: list[str], seconds: float, seed: int) -> int:
    """Kill a build at five moments spread over its run, then let it finish."""
    chooser, kills = random.Random(seed), 0
    for _ in range(5):
        _, _, code = run(arguments, kill_after=chooser.uniform(1.5, 0.5 * seconds))
        kills += code != 0
    run(arguments)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="sdss-qso")
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="galaxyds-build-"))
    name, goal = options.name, GOALS.get(options.name, "none")
    seconds, peak, _ = run(command(name, root / "two", options.limit, 2))
    print(f"two workers    {seconds:7.1f} s, peak {peak / 1e9:.2f} GB (goal {goal})")
    again, _, _ = run(command(name, root / "two", options.limit, 2))
    print(f"second run     {again:7.1f} s (goal < 2 s)")
    one, peak, _ = run(command(name, root / "one", options.limit, 1))
    print(f"one worker     {one:7.1f} s, peak {peak / 1e9:.2f} GB")
    arguments = command(name, root / "killed", options.limit, 2)
    kills = killed_and_resumed(arguments, seconds, options.seed)
    expected = digests(root / "two")
    for run_name in ("one", "killed"):
        same = digests(root / run_name) == expected
        print(
            f"{run_name:<14} {len(expected)} files, sha256 {'identical' if same else 'DIFFERENT'}"
        )
        shutil.rmtree(root / run_name)
    print(f"kills          {kills} of 5 hit a running build")
    if options.root is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
