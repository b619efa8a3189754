"""Run the real SExtractor on one image, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

PROGRAM = shutil.which("source-extractor") or shutil.which("sex")
PARAMETERS = (
    *("NUMBER", "X_WORLD", "Y_WORLD", "A_IMAGE", "B_IMAGE", "THETA_IMAGE", "ELLIPTICITY"),
    *("ISOAREA_IMAGE", "MU_MAX", "FLUX_MAX", "FLUX_RADIUS", "KRON_RADIUS", "FLUX_AUTO"),
    *("PETRO_RADIUS", "FLUX_PETRO", "BACKGROUND", "THRESHOLD", "FLAGS"),
)
"""Columns of the catalogue.  X_WORLD of an image without a WCS is its 0-based column in 64 bits."""
PUBLISHED = (
    *("X_IMAGE", "Y_IMAGE", "A_IMAGE", "B_IMAGE", "THETA_IMAGE", "ELLIPTICITY", "ISOAREA_IMAGE"),
    *("MU_MAX", "FLUX_RADIUS", "PETRO_RADIUS"),
)
"""The columns that the authors asked for, for timing."""
KERNEL = """CONV NORM
0.109853 0.300700 0.109853
0.300700 0.823102 0.300700
0.109853 0.300700 0.109853
"""
# The authors' configuration file with its repeated keywords resolved: the later line holds.
CONFIG = """CATALOG_NAME sex.cat
CATALOG_TYPE FITS_1.0
PARAMETERS_NAME sex.param
DETECT_TYPE CCD
DETECT_MINAREA 5
DETECT_THRESH 3
ANALYSIS_THRESH 1.5
FILTER Y
FILTER_NAME sex.conv
DEBLEND_NTHRESH 32
DEBLEND_MINCONT 0.005
CLEAN Y
CLEAN_PARAM 1.0
MASK_TYPE CORRECT
PHOT_AUTOPARAMS 2.5, 3.5
PHOT_PETROPARAMS 2.0, 3.5
SATUR_LEVEL 50000.0
MAG_ZEROPOINT 0.0
GAIN 0.0
PIXEL_SCALE 0.17
SEEING_FWHM 1.2
BACK_SIZE 64
BACK_FILTERSIZE 3
BACKPHOTO_TYPE GLOBAL
MEMORY_OBJSTACK 3000
MEMORY_PIXSTACK 300000
MEMORY_BUFSIZE 1024
VERBOSE_TYPE QUIET
WRITE_XML N
"""


RANDOM = """#include <stdlib.h>
static unsigned int seed = 1;
int rand(void) { return rand_r(&seed); }
"""


def library_of_random_numbers(folder: Path) -> Path | None:
    """Shared library in which the C library's ``rand`` draws as sep does; None without a compiler.

    Both programs give a pixel between two deblended sources to one of them by lot; they differ in
    nothing but the generator.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = folder / "random.c", folder / "random.so"
    source.write_text(RANDOM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


class SExtractor:
    """The program with the authors' settings.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder for its files.
    extra : dict of str to str
        Keywords to override.
    parameters : tuple of str
        Columns to ask for.
    preload : pathlib.Path, optional
        A shared library that replaces functions of the C library.
    """

    def __init__(self, folder: Path, *, extra=None, parameters=PARAMETERS, preload=None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sex.conv").write_text(KERNEL)
        (folder / "sex.param").write_text("\n".join(parameters) + "\n")
        lines = CONFIG + "".join(f"{key} {value}\n" for key, value in (extra or {}).items())
        (folder / "sex.config").write_text(lines)
        self.environment = {**os.environ, **({"LD_PRELOAD": str(preload)} if preload else {})}

    def write(self, image: np.ndarray) -> None:
        """Put the image where the program reads it."""
        from astropy.io import fits

        fits.writeto(self.folder / "image.fits", image.astype(np.float32), overwrite=True)

    def execute(self) -> None:
        """Run the program on the image that was written last."""
        command = [str(PROGRAM), "image.fits", "-c", "sex.config"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace")[-500:])

    def read(self) -> np.ndarray:
        """The catalogue: one row per source, columns of :data:`PARAMETERS`."""
        from astropy.io import fits

        with fits.open(self.folder / "sex.cat", memmap=False) as found:
            return np.array(found[1].data)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Catalogue of an image."""
        self.write(image)
        self.execute()
        return self.read()
