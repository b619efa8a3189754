"""Serve one real SDSS field on loopback, to try the command line by hand.

    python -m tests.servers [DATA]      DATA: folder of real survey files

Prints the settings to export; ends with Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.servers import SASEmulator, SkyServerEmulator, catalogue_rows

FIELD = "sdss_field_94-1-12"


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data") / FIELD
    rows = catalogue_rows(data / "photoObj-000094-1-0012.fits")
    with SkyServerEmulator(rows) as skyserver, SASEmulator(data) as sas:
        print(f"export GALAXYDS_SDSS_SKYSERVER_URL={skyserver.url}")
        print(f"export GALAXYDS_SDSS_SAS_URL={sas.url}", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
