"""Stacks of real frames and rows of run 94, camcol 1, field 12, over loopback HTTP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits

from galaxyds.build import Request, build
from galaxyds.specs import get_spec
from galaxyds.store import image_map, read_columns, verify
from tests.servers import SASEmulator, SkyServerEmulator

BANDS = "ugriz"
FIELD = "sdss_field_94-1-12"
SCALE = 0.396
APERTURE = 3.0 / SCALE  # radius of APERFLUX[4] in pixels
MIDDLE = 31.5


@pytest.fixture(scope="module")
def photo(survey_data: Path) -> np.ndarray:
    return fits.getdata(survey_data / FIELD / "photoObj-000094-1-0012.fits", 1)


@pytest.fixture(scope="module")
def galaxies(photo) -> np.ndarray:
    """The isolated galaxies of the field with a Petrosian r of less than 20."""
    petro = photo["PETROMAG"][:, 2]
    return photo[(photo["NCHILD"] == 0) & (photo["OBJC_TYPE"] == 3) & (petro > 0) & (petro < 20)]


@pytest.fixture(scope="module")
def built(survey_data, field_rows, galaxies, tmp_path_factory):
    """Those galaxies, built from a list, and what was asked of the servers."""
    root = tmp_path_factory.mktemp("mgs")
    (root / "list.csv").write_text("objID\n" + "\n".join(galaxies["OBJID"]) + "\n")
    patch = pytest.MonkeyPatch()
    patch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
    with SkyServerEmulator(field_rows) as skyserver, SASEmulator(survey_data / FIELD) as sas:
        patch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
        patch.setenv("GALAXYDS_SDSS_SAS_URL", sas.url)
        summary = build(
            Request(
                address="sdss-mgs", objects=root / "list.csv", root=root, jobs=1, drop_failed=True
            )
        )
        requested = [request.path for request in sas.requests]
        statements = list(skyserver.statements)
    patch.undo()
    return summary, requested, statements


def test_the_build_verifies_and_holds_the_listed_galaxies(built, galaxies):
    summary, _, _ = built
    assert all(result.ok for result in verify(summary.path, get_spec("sdss-mgs")))
    assert summary.manifest.rows == len(galaxies) > 50
    assert summary.manifest.cut_flow == ()


def test_frames_of_the_field_table_are_fetched_once_from_dr12(built):
    _, requested, statements = built
    assert any("Field" in statement for statement in statements)
    own = [path for path in requested if path.endswith("-0012.fits.bz2")]
    assert sorted(Path(path).name[6] for path in own) == sorted(BANDS)
    assert all("/dr12/boss/photoObj/frames/301/94/1/" in path for path in own)


def test_galaxies_stand_in_the_middle_pixel_in_every_band(built, photo):
    """First moments of the bright ones, with positions of the catalogue's own astrometry."""
    summary, _, _ = built
    columns = read_columns(summary.path / "images.hdf5")
    assert (columns["cutout_x"] == MIDDLE).all()
    assert (columns["cutout_y"] == MIDDLE).all()
    images = image_map(summary.path / "images.hdf5")
    rows, cols = np.mgrid[:64, :64] - MIDDLE
    window = np.exp(-(rows**2 + cols**2) / (2 * 3.0**2))
    for k in (1, 2, 3):
        planes = np.asarray(images[:, k], float)
        planes -= np.nanmedian(planes, axis=(1, 2), keepdims=True)
        weight = np.nan_to_num(planes) * window
        total = weight.sum(axis=(1, 2))
        for axis in (rows, cols):
            # The window halves the shift of a source as wide as itself; 0.15 allows for that.
            assert abs(np.median((weight * axis).sum(axis=(1, 2)) / total)) < 0.15


def local_sky(plane: np.ndarray) -> float:
    """Clipped median of the annulus from 7 to 12 arcsec."""
    rows, cols = np.mgrid[:64, :64]
    distance = np.hypot(rows - MIDDLE, cols - MIDDLE) * SCALE
    values = plane[(distance >= 7) & (distance <= 12)]
    for _ in range(5):
        middle = np.median(values)
        scatter = 1.4826 * np.median(np.abs(values - middle))
        values = values[np.abs(values - middle) <= 3 * scatter]
    return float(np.median(values))


@pytest.fixture(scope="module")
def ratios(built, photo) -> dict[str, np.ndarray]:
    """Our aperture sum over the catalogue's, per band, of complete cutouts with S/N > 10."""
    summary, _, _ = built
    columns = read_columns(summary.path / "images.hdf5")
    place = {int(objid): n for n, objid in enumerate(photo["OBJID"])}
    rows = photo[[place[int(i)] for i in columns["object_id"]]]
    images = image_map(summary.path / "images.hdf5")
    out = {}
    for k, band in enumerate(BANDS):
        flux, ivar = rows["APERFLUX"][:, k, 4], rows["APERFLUX_IVAR"][:, k, 4]
        good = np.flatnonzero(flux * np.sqrt(ivar) > 10)
        found = []
        for n in good:
            plane = np.ascontiguousarray(images[n, k], dtype=np.float64)
            if np.isnan(plane).any():
                continue
            total, _, _ = sep.sum_circle(plane, [MIDDLE], [MIDDLE], APERTURE, subpix=0)
            net = float(total[0]) - local_sky(plane) * np.pi * APERTURE**2
            found.append(net / flux[n])
        out[band] = np.array(found)
    return out


# Galaxies with S/N > 10 in the field: 15 in u, 59, 61, 61 and 52 elsewhere, two at its edge.
@pytest.mark.parametrize(("band", "least"), [("g", 55), ("r", 55), ("i", 55), ("z", 48)])
def test_aperture_sums_equal_the_catalogues_within_two_percent(ratios, band, least):
    assert len(ratios[band]) >= least
    assert abs(np.median(ratios[band]) - 1) < 0.02


def test_aperture_sums_in_u_are_right_within_their_noise(ratios, record_property):
    """A dozen faint galaxies with errors of up to 10 %: the median is good to some per cent."""
    record_property("median ratio in u", float(np.median(ratios["u"])))
    assert len(ratios["u"]) >= 10
    assert abs(np.median(ratios["u"]) - 1) < 0.06
