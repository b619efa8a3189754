"""Data releases of the simulated SDSS: the same sky, another catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from galaxyds.archives.simulated import SimulatedSDSS, simulated_sdss
from galaxyds.errors import UsageError
from galaxyds.sky import SDSS, Footprint, Region, Run, Universe
from galaxyds.sky.releases import RELEASES, release
from galaxyds.sky.server import tables
from galaxyds.sky.universe import GALAXY

REGION = Region(ra_min=180.0, ra_max=180.2, dec_min=1.0, dec_max=1.2)
# Two runs over the same place: secondaries, repeats, every table filled.
SMALL = Footprint(
    runs=(
        Run(number=9291, ra=180.0, dec=1.0, first=11, last=14),
        Run(number=9292, ra=180.07, dec=1.02, first=31, last=33),
    ),
    camcols=(1, 2, 3),
)


@pytest.fixture(scope="module")
def dr12():
    made = tables(Universe(crowd=release("DR12").crowd), SMALL, "DR12")
    return {
        name: {c: table.column(c).to_numpy(zero_copy_only=False) for c in table.column_names}
        for name, table in made.items()
    }


def test_a_crowd_adds_bright_galaxies_and_moves_nothing():
    plain = Universe().sources(REGION, SDSS)
    crowded = Universe(crowd=12.0).sources(REGION, SDSS)
    assert (crowded.key[: len(plain)] == plain.key).all()
    assert (crowded.magnitude[: len(plain)] == plain.magnitude).all()
    added = crowded.take(np.arange(len(plain), len(crowded)))
    assert (added.kind == GALAXY).all()
    r = added.magnitude[:, 2] - added.ebv * SDSS.band("r").extinction
    assert r.max() <= 17.8
    # The counts of the universe: 144 such galaxies per square degree, eleven times as many more.
    area = 0.3**2  # cells that touch the region
    assert len(added) == pytest.approx(11 * 144 * area, rel=0.35)


def test_runs_of_dr12_lie_over_each_other():
    footprint = release("dr12").footprint
    rng = np.random.default_rng(2)
    ra = np.concatenate([rng.uniform(180.2, 180.6, 400), rng.uniform(20.1, 20.4, 400)])
    dec = np.concatenate([rng.uniform(1.0, 3.2, 400), rng.uniform(-1.0, 1.0, 400)])
    depth = np.zeros(800, int)
    for run in footprint.runs:
        seen = np.zeros(800, bool)
        for tile in (tile for tile in footprint.tiles() if tile[0] == run.number):
            x, y = footprint.wcs(tile).to_pixel(ra, dec)
            near = np.abs(ra - footprint.wcs(tile).ra) < 1
            seen |= near & (x > 0) & (x < 2047) & (y > 0) & (y < 1488)
        depth += seen
    for part in (depth[:400], depth[400:]):
        assert {1, 2, 3} <= set(part.tolist())


def test_fields_are_centred_on_their_frames(dr12):
    field = dr12["Field"]
    assert len(field["ra"]) == len(SMALL.tiles()) == len(np.unique(field["fieldID"]))
    for n, tile in enumerate(SMALL.tiles()):
        assert (field["run"][n], field["camcol"][n], field["field"][n]) == tile
        x, y = SMALL.wcs(tile).to_pixel(field["ra"][n : n + 1], field["dec"][n : n + 1])
        assert x[0] == pytest.approx(1023.5, abs=1)
        assert y[0] == pytest.approx(744.0, abs=1)
        x, y = SMALL.wcs(tile).to_pixel(field["raMax"][n : n + 1], field["decMax"][n : n + 1])
        assert np.allclose([x[0], y[0]], [2047.5, 1488.5], atol=3)


def test_objects_stand_in_the_field_that_they_are_listed_under(dr12):
    photo, field = dr12["PhotoObjAll"], dr12["Field"]
    number = {
        name: n
        for n, name in enumerate(zip(field["run"], field["camcol"], field["field"], strict=True))
    }
    own = [number[name] for name in zip(photo["run"], photo["camcol"], photo["field"], strict=True)]
    slack = 0.002
    assert (photo["ra"] > field["raMin"][own] - slack).all()
    assert (photo["ra"] < field["raMax"][own] + slack).all()
    assert (photo["dec"] > field["decMin"][own] - slack).all()
    assert (photo["dec"] < field["decMax"][own] + slack).all()


def test_nearly_every_bright_galaxy_has_a_spectrum(dr12):
    photo, spec = dr12["PhotoObjAll"], dr12["SpecObjAll"]
    bright = (photo["type"] == 3) & (photo["mode"] == 1) & (photo["petroMag_r"] > 0)
    bright &= photo["petroMag_r"] - photo["extinction_r"] <= 17.6
    assert bright.sum() > 200
    seen = np.isin(photo["objID"], spec["bestObjID"])
    # Spectra of a secondary, and of no object, are missing among the primaries.
    assert seen[bright].mean() > 0.8


def test_tables_belong_together(dr12):
    spec, info, photoz = dr12["SpecObjAll"], dr12["galSpecInfo"], dr12["Photoz"]
    assert np.unique(info["specObjID"]).size == info["specObjID"].size
    assert np.isin(info["specObjID"], spec["specObjID"]).all()
    known = spec["survey"][np.isin(spec["specObjID"], info["specObjID"])]
    assert set(known) == {"sdss", "segue1"}
    assert np.isin(photoz["objID"], dr12["PhotoObjAll"]["objID"]).all()
    assert set(spec["targetType"]) == {"SCIENCE", "STANDARD"}


def test_petrosian_magnitudes_fail_together_and_follow_the_model(dr12):
    photo = dr12["PhotoObjAll"]
    failed = photo["petroMag_r"] == -9999
    assert failed.any()
    for band in "ugriz":
        assert ((photo[f"petroMag_{band}"] == -9999) == failed).all()
        assert ((photo[f"petroMagErr_{band}"] == -9999) == failed).all()
        assert (photo[f"petroMagErr_{band}"][~failed] > 0).all()
    galaxy = ~failed & (photo["type"] == 3) & (photo["modelMag_r"] < 18)
    for band in "griz":
        difference = (photo[f"petroMag_{band}"] - photo[f"modelMag_{band}"])[galaxy]
        assert abs(np.median(difference)) < 0.02
        assert difference.std() < 0.2


def test_the_catalogue_of_dr17_has_the_tables_that_it_had():
    made = tables(Universe(), Footprint(runs=SMALL.runs[:1], camcols=(1,)))
    assert set(made) == {"PhotoObjAll", "SpecObjAll", "Field"}
    assert "petroMag_g" not in made["PhotoObjAll"].column_names
    assert RELEASES["DR17"].extinction[2] == 2.285


def test_an_unknown_release_is_refused():
    with pytest.raises(UsageError, match="has no data release 'DR7': it has DR17, DR12"):
        simulated_sdss("DR7")
    assert SimulatedSDSS().release == "DR17"
    assert "12 times as dense" in " ".join(simulated_sdss("DR12").departures())
    assert "12 times as dense" not in " ".join(SimulatedSDSS().departures())
