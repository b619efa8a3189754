"""How much memory a build from P19's published archive takes, whatever the archive's size.

::

    python benchmarks/npz.py                     # 2,000 and 20,000 cutouts, 5 GB of disk
    python benchmarks/npz.py --rows 500 --folder /tmp

Writes archives of the published layout (deflated, 64 labels) and builds ``sdss-mgs`` from each with
the command that a user would type, in a process of its own.  Two figures per build, sampled every
20 ms: memory that belongs to the process (anonymous pages, of which the machine can take nothing
back), and its resident set, in which pages of the mapped HDF5 file count that belong to the page
cache and are given up when anybody needs them.  "reading" is the archive alone: columns selected,
every cutout inflated, nothing written.  The last column is what ``numpy.load`` would hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.store import p19_sample

READING = """
import sys
from pathlib import Path
from galaxyds.specs import get_spec
from galaxyds.store.p19 import open_published
spec = get_spec("sdss-mgs")
found = open_published(
    Path(sys.argv[1]) / "sdss.npz", spec, spec.configs[0], names=dict(spec.files.names)
)
assert sum(len(block.rows) for block in found.blocks()) == found.table.num_rows
"""


def peaks(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command; return its peak anonymous and resident memory in MB, and its seconds."""
    begun, anonymous, resident = time.monotonic(), 0, 0
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as run:
        status = Path(f"/proc/{run.pid}/status")
        while run.poll() is None:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            anonymous = max(anonymous, int(lines.get("RssAnon", "0 kB").split()[0]))
            resident = max(resident, int(lines.get("VmHWM", "0 kB").split()[0]))
            time.sleep(0.02)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return anonymous / 1e3, resident / 1e3, time.monotonic() - begun


def measure(rows: int, folder: Path) -> None:
    """Print one line per way of using an archive of so many cutouts."""
    mine = folder / "mine"
    mine.mkdir()
    size = p19_sample.write(mine / "sdss.npz", rows).stat().st_size / 1e9
    build = [sys.executable, "-c", "from galaxyds_cli.main import run; run()", "build", "sdss-mgs",
             "--archive", "release", "--root", str(folder / "home")]  # fmt: skip
    reading = [sys.executable, "-c", READING, str(mine)]
    for name, command in (("reading", reading), ("build", build)):
        own, all_, seconds = peaks(command, {"GALAXYDS_DEEPDIP_DIR": str(mine)})
        whole = rows * p19_sample.SIZE**2 * p19_sample.BANDS * 4 / 1e6
        used = f"{own:6.0f} MB {all_:6.0f} MB {seconds:6.1f} s"
        print(f"{rows:>7,}  {size:5.2f} GB  {name:8} {used}  {whole:6.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--folder", type=Path, help="where to write, default: the system's own")
    options = parser.parse_args()
    print("cutouts  archive             own     resident    wall  numpy.load")
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(rows, Path(folder))


if __name__ == "__main__":
    main()
