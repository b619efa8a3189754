"""Serve one real SDSS field, or an empty hub, on loopback, to try the command line by hand.

    python -m tests.servers [DATA]      DATA: folder of real survey files
    python -m tests.servers hub         takes a push, and gives what was pushed

Prints the settings to export; ends with Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.servers import SASEmulator, SkyServerEmulator, catalogue_rows
from tests.servers.hub import HubEmulator

FIELD = "sdss_field_94-1-12"


def main() -> None:
    if sys.argv[1:] == ["hub"]:
        serve_hub()
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data") / FIELD
    rows = catalogue_rows(data / "photoObj-000094-1-0012.fits")
    with SkyServerEmulator(rows) as skyserver, SASEmulator(data) as sas:
        print(f"export GALAXYDS_SDSS_SKYSERVER_URL={skyserver.url}")
        print(f"export GALAXYDS_SDSS_SAS_URL={sas.url}", flush=True)
        while True:
            time.sleep(3600)


def serve_hub() -> None:
    with HubEmulator() as hub:
        print(f"export HF_ENDPOINT={hub.url} HF_TOKEN={hub.token} HF_HUB_DISABLE_XET=1", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
