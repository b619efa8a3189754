from __future__ import annotations

import json
import subprocess
import sys


def test_importing_galaxyds_is_light():
    code = "import galaxyds, sys, json; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(out.stdout))
    assert "galaxyds" in loaded
    heavy = {"torch", "astropy", "pandas", "numpy", "pyarrow", "duckdb", "requests", "h5py"}
    assert not loaded & heavy


def test_real_archives_leave_the_simulated_sky_alone():
    modules = ("cadc_cutouts", "cfhtls", "hsc", "hsc_deep", "sdss", "mosaics", "redshifts")
    code = (
        f"import importlib, sys; [importlib.import_module('galaxyds.archives.' + name) for name in "
        f"{modules}]; print([name for name in sys.modules if name.startswith('galaxyds.sky')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
