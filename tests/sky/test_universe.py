"""One universe for all surveys, the same bits in every process."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np

from galaxyds.sky import CFHTLS, HSC, SDSS, Region, Universe
from galaxyds.sky.universe import GALAXY, QUASAR, STAR

SURVEYS = {"SDSS": SDSS, "CFHTLS": CFHTLS, "HSC": HSC}
REGION = Region(ra_min=30.0, ra_max=30.1, dec_min=-0.05, dec_max=0.05)

_SCRIPT = """
import hashlib
from galaxyds.sky import Footprint, Run, Universe
from galaxyds.sky.server import tables
small = Footprint(runs=(Run(number=9001, ra=30.0, dec=-1.2615, first=11, last=12),), camcols=(3,))
for name, table in sorted(tables(Universe(), small).items()):
    digest = hashlib.sha256(str(table.schema).encode())
    for column in table.columns:
        digest.update(str(column.to_pylist()).encode())
    print(name, digest.hexdigest())
"""


def test_tables_are_bit_identical_in_two_processes():
    runs = [
        subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert "PhotoObjAll" in runs[0].stdout
    assert runs[0].stdout == runs[1].stdout


def test_another_seed_is_another_sky():
    one, two = (Universe(seed=s).sources(REGION, SDSS) for s in (1, 2))
    assert not np.isin(one.key, two.key).any()


def test_every_survey_sees_the_same_sources():
    views = {name: Universe().sources(REGION, survey) for name, survey in SURVEYS.items()}
    sdss = views["SDSS"]
    for name in ("CFHTLS", "HSC"):
        deep = views[name]
        assert np.isin(sdss.key, deep.key).all()
        assert len(deep) > 1.5 * len(sdss)
        order = np.argsort(deep.key)
        at = order[np.searchsorted(deep.key[order], sdss.key)]
        for attribute in ("ra", "dec", "redshift", "kind", "disk_radius", "angle"):
            assert np.array_equal(getattr(deep, attribute)[at], getattr(sdss, attribute))
        r = sdss.magnitude[:, SDSS.band_index("r")]
        there = deep.magnitude[at][:, SURVEYS[name].band_index("r")]
        assert np.abs(r - there).max() < 0.5


def test_all_kinds_are_there_and_every_magnitude_is_finite():
    sources = Universe().sources(REGION, HSC)
    assert set(np.unique(sources.kind)) == {STAR, GALAXY, QUASAR}
    assert np.isfinite(sources.magnitude).all()
    assert (sources.redshift[sources.kind == STAR] == 0).all()
    assert (sources.disk_radius[sources.kind == GALAXY] > 0).all()


def test_attributes_do_not_depend_on_who_else_is_asked_for():
    wide = Region(ra_min=29.9, ra_max=30.3, dec_min=-0.25, dec_max=0.15)
    small, large = Universe().sources(REGION, SDSS), Universe().sources(wide, SDSS)
    order = np.argsort(large.key)
    at = order[np.searchsorted(large.key[order], small.key)]
    for name in ("ra", "dec", "magnitude", "bulge", "ebv"):
        mine, theirs = getattr(small, name), getattr(large, name)[at]
        assert hashlib.sha256(mine.tobytes()).digest() == hashlib.sha256(theirs.tobytes()).digest()
