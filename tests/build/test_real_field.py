"""The ordinary build on real frames and rows of run 94, camcol 1, field 12, over loopback HTTP."""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.wcs import WCS

from galaxyds.build import Request, build
from galaxyds.specs import get_spec
from galaxyds.store import image_map, read_columns, verify
from tests.servers import SASEmulator, SkyServerEmulator

BANDS = "ugriz"
FIELD = "sdss_field_94-1-12"


@pytest.fixture(scope="module")
def photo(survey_data: Path) -> np.ndarray:
    return fits.getdata(survey_data / FIELD / "photoObj-000094-1-0012.fits", 1)


@pytest.fixture(scope="module")
def listed(survey_data, field_rows, photo, tmp_path_factory):
    """The isolated objects of the field with S/N > 10, built from a list, past the cuts."""
    root = tmp_path_factory.mktemp("listed")
    signal = (photo["APERFLUX"][:, :, 4] * np.sqrt(photo["APERFLUX_IVAR"][:, :, 4])).max(axis=1)
    isolated = photo["OBJID"][(photo["NCHILD"] == 0) & (signal > 10)]
    (root / "list.csv").write_text("objID\n" + "\n".join(isolated) + "\n")
    patch = pytest.MonkeyPatch()
    patch.setattr("galaxyds.archives.skyserver.INTERVAL", 0.0)
    with SkyServerEmulator(field_rows) as skyserver, SASEmulator(survey_data / FIELD) as sas:
        patch.setenv("GALAXYDS_SDSS_SKYSERVER_URL", skyserver.url)
        patch.setenv("GALAXYDS_SDSS_SAS_URL", sas.url)
        summary = build(Request(address="sdss-qso", objects=root / "list.csv", root=root, jobs=1))
        requested = [request.path for request in sas.requests]
    patch.undo()
    return summary, requested


def matched(photo: np.ndarray, summary) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Rows of photoObj in the order of the build, and the build's columns."""
    columns = read_columns(summary.path / "images.hdf5")
    place = {int(objid): n for n, objid in enumerate(photo["OBJID"])}
    return photo[[place[int(i)] for i in columns["object_id"]]], columns


def test_each_frame_is_fetched_once(listed):
    _, requested = listed
    assert len(requested) == len(set(requested))
    own = [path for path in requested if path.endswith("-0012.fits.bz2")]
    assert sorted(Path(path).name[6] for path in own) == sorted(BANDS)


def test_the_build_verifies_and_says_that_it_is_from_a_list(listed):
    summary, _ = listed
    assert all(result.ok for result in verify(summary.path, get_spec("sdss-qso")))
    manifest = summary.manifest
    assert manifest.selection.kind == "objects"
    assert manifest.cut_flow == ()
    assert "past the cuts" in (summary.path / "hub" / "README.md").read_text()
    assert manifest.rows > 300
    assert "+objects." in manifest.version


def test_r_cutouts_are_the_frames_own_pixels(listed, survey_data, photo):
    summary, _ = listed
    with fits.open(survey_data / FIELD / "frame-r-000094-1-0012.fits.bz2") as hdus:
        frame, wcs = hdus[0].data, WCS(hdus[0].header)
    rows, columns = matched(photo, summary)
    images = image_map(summary.path / "images.hdf5")
    x, y = wcs.all_world2pix(rows["RA"], rows["DEC"], 0)
    left, top = (np.ceil(p - 32).astype(int) for p in (x, y))
    whole = np.flatnonzero(columns["cutout_flags"] == 0)
    assert len(whole) > 250
    for n in whole:
        box = frame[top[n] : top[n] + 64, left[n] : left[n] + 64]
        assert np.array_equal(images[n, 2], box)
    assert np.abs(columns["cutout_x"] - (x - left))[whole].max() < 1e-3
    assert np.abs(columns["cutout_y"] - (y - top))[whole].max() < 1e-3


def aperture_sum(plane: np.ndarray, x: float, y: float, radius: float) -> float:
    """Flux in a circle, pixels on its rim by their exact share."""
    flux, _, _ = sep.sum_circle(np.ascontiguousarray(plane), [x], [y], radius, subpix=0)
    return float(flux[0])


def local_sky(plane: np.ndarray, x: float, y: float) -> float:
    """Clipped median of the annulus from 7 to 12 arcsec."""
    rows, cols = np.mgrid[:64, :64]
    distance = np.hypot(rows - y, cols - x) * 0.396
    values = plane[(distance >= 7) & (distance <= 12)].astype(np.float64)
    for _ in range(5):
        middle, scatter = np.median(values), 1.4826 * np.median(np.abs(values - np.median(values)))
        values = values[np.abs(values - middle) <= 3 * scatter]
    return float(np.median(values))


def centroid(plane: np.ndarray, x: float, y: float) -> tuple[float, float]:
    """First moments in a Gaussian window of 1 arcsec, iterated."""
    rows, cols = np.mgrid[:64, :64]
    for _ in range(20):
        weight = plane * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 2.5**2))
        # The window pulls to its own centre: twice the step undoes that for a Gaussian.
        x, y = (
            x + 2 * float((weight * (cols - x)).sum() / weight.sum()),
            y + 2 * float((weight * (rows - y)).sum() / weight.sum()),
        )
    return x, y


@pytest.fixture(scope="module")
def measured(listed, photo):
    """Per band: ratio of our aperture sum to the catalogue's, and our centroids in r and band."""
    summary, _ = listed
    rows, columns = matched(photo, summary)
    images = image_map(summary.path / "images.hdf5")
    out = {}
    for k, band in enumerate(BANDS):
        flux, ivar = rows["APERFLUX"][:, k, 4], rows["APERFLUX_IVAR"][:, k, 4]
        good = np.flatnonzero((columns["cutout_flags"] == 0) & (flux * np.sqrt(ivar) > 10))
        ratio, shift, offset = [], [], []
        for n in good:
            x, y = float(columns["cutout_x"][n]), float(columns["cutout_y"][n])
            planes = images[n].astype(np.float64)
            sky = local_sky(planes[k], x, y)
            net = aperture_sum(planes[k], x, y, 3 / 0.396) - sky * np.pi * (3 / 0.396) ** 2
            ratio.append(net / flux[n])
            here = centroid(planes[k] - sky, x, y)
            r = centroid(planes[2] - local_sky(planes[2], x, y), x, y)
            shift.append(np.hypot(here[0] - r[0], here[1] - r[1]))
            offset.append(np.hypot(here[0] - x, here[1] - y))
        out[band] = np.array([ratio, shift, offset])
    return out


# Objects with S/N > 10 that the field holds: about 70 in u, 190 or more elsewhere.
@pytest.mark.parametrize(
    ("band", "least"), [("u", 60), ("g", 190), ("r", 190), ("i", 190), ("z", 190)]
)
def test_aperture_sums_equal_the_catalogues_within_two_percent(measured, band, least):
    ratio = measured[band][0]
    assert len(ratio) >= least
    assert abs(np.median(ratio) - 1) < 0.02


@pytest.mark.parametrize("band", "ugiz")
def test_bands_are_aligned_with_r(measured, band):
    assert np.nanmedian(measured[band][1]) < 0.3


def test_r_stands_on_the_stated_pixel(measured):
    assert np.nanmedian(measured["r"][2]) < 0.3


def test_a_build_without_a_list_shows_the_cuts(sdss_loopback, field_rows, tmp_path):
    summary = build(Request(address="sdss-qso", root=tmp_path, jobs=1))
    flow = summary.manifest.cut_flow
    idle = {"flags-known"}
    assert {row.name for row in flow if row.removed == 0} == idle
    # The same selection, written out in numpy on the emulator's own rows.
    import pandas as pd

    spec, phot = (field_rows[n].to_pandas() for n in ("SpecObjAll", "PhotoObjAll"))
    both = pd.merge(spec, phot, left_on="bestObjID", right_on="objID")
    kept = both[
        (both["class"] == "QSO") & (both.z >= 1) & (both.z < 5) & (both.zErr < 0.001)
        & (both.psfMag_g >= 18) & (both.psfMag_g <= 22) & (both.petroRad_r < 5)
        & (both.zWarning == 0) & (both.clean == 1)
    ]  # fmt: skip
    assert flow[-1].rows_after == len(kept)
    assert summary.manifest.rows == kept.objID.nunique()
    assert summary.manifest.version == "1.0.0"


def test_pushdown_on_and_off_build_the_same_bytes(sdss_loopback, tmp_path):
    on, off = (
        build(Request(address="sdss-qso", root=tmp_path / str(p), pushdown=p, jobs=1))
        for p in (True, False)
    )
    data = [name for name in on.manifest.files if not name.endswith(".md")]  # the card has the SQL
    assert len(data) >= 5
    assert {n: on.manifest.files[n] for n in data} == {n: off.manifest.files[n] for n in data}
    assert [r.rows_after for r in on.manifest.cut_flow] == [
        r.rows_after for r in off.manifest.cut_flow
    ]


def test_positions_find_the_same_objects_as_ids(sdss_loopback, photo, tmp_path):
    chosen = photo[photo["NCHILD"] == 0][::60]
    (tmp_path / "ids.csv").write_text("objID\n" + "\n".join(chosen["OBJID"]) + "\n")
    places = [f"{r:.7f},{d:.7f}" for r, d in zip(chosen["RA"], chosen["DEC"], strict=True)]
    (tmp_path / "radec.csv").write_text("ra,dec\n" + "\n".join([*places, "10.0,-5.0"]) + "\n")
    by_id = build(Request(address="sdss-qso", root=tmp_path, objects=tmp_path / "ids.csv", jobs=1))
    by_place = build(
        Request(address="sdss-qso", root=tmp_path, objects=tmp_path / "radec.csv", jobs=1)
    )
    same = [name for name in by_id.manifest.files if name.endswith(".parquet")]
    assert len(same) >= 4
    assert all(by_id.manifest.files[n] == by_place.manifest.files[n] for n in same)
    assert "1 of" in by_place.manifest.warnings[0]
    assert "(10.00000, -5.00000)" in by_place.manifest.warnings[0]


def test_the_unaligned_build_crops_every_band(sdss_loopback, survey_data, tmp_path):
    summary = build(Request(address="sdss-qso", root=tmp_path, align="none", jobs=1))
    assert summary.manifest.version == "1.0.0+unaligned"
    images = image_map(summary.path / "images.hdf5")
    flags = read_columns(summary.path / "images.hdf5", ("cutout_flags",))["cutout_flags"]
    image = images[np.flatnonzero(flags == 0)[0]]
    for k, band in enumerate(BANDS):
        raw = bz2.decompress(
            (survey_data / FIELD / f"frame-{band}-000094-1-0012.fits.bz2").read_bytes()
        )
        frame = fits.HDUList.fromstring(raw)[0].data.astype(np.float32)
        corner = np.argwhere(frame[:-63, :-63] == image[k, 0, 0])
        assert any(np.array_equal(frame[y : y + 64, x : x + 64], image[k]) for y, x in corner)


def test_the_manifest_is_plain_json_with_the_queries(listed):
    summary, _ = listed
    told = json.loads((summary.path / "manifest.json").read_text())
    assert "JOIN PhotoObjAll AS b ON a.bestObjID = b.objID" in told["queries"][0]
    assert told["archive"]["endpoints"]["frames"].startswith("http://127.0.0.1")
