"""Cutouts of the simulated coadds: flux, place, width, noise, and the same pixels for whoever asks.

Independent: GalSim's own convolution and drawing, closed forms, the catalogue, and real cutouts.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from galaxyds.archives.base import CutoutObject
from galaxyds.errors import NotInArchiveError, UsageError
from galaxyds.sky import HSC, Universe
from galaxyds.sky.coadd import white
from galaxyds.sky.hsc_coadd import Coadd, cutout_box, place, point_spread
from galaxyds.sky.hsc_conditions import band_at, is_missing, noise_at
from galaxyds.sky.hsc_fourier import Placed, blur, draw
from galaxyds.sky.hsc_server import HSCServer
from tests.sky.hsc_small import SMALL, WEST, objects
from tests.sky.test_render import moments, source

galsim = pytest.importorskip("galsim", reason="rendering needs the extra 'sky'")

PATCH = (0, 5)
SCALE = HSC.pixel_scale
BRIGHT = "SELECT object_id, ra, dec, tract, i_cmodel_mag FROM pdr2_wide.forced "


@pytest.fixture(scope="module")
def coadd():
    return Coadd(Universe(), SMALL)


@pytest.fixture(scope="module")
def rows():
    """Primary objects of one patch between i 17.5 and 20.5."""
    server = HSCServer(Universe(), SMALL)
    where = "WHERE tract = 20001 AND patch = 5 AND isprimary AND i_cmodel_mag "
    return server.execute(f"{BRIGHT}{where} BETWEEN 17.5 AND 20.5 ORDER BY object_id").to_pylist()


@pytest.fixture(scope="module")
def isolated(rows):
    """Those of them without neighbours of a per cent of their light near by."""
    placed = place(Universe(), WEST, PATCH)
    alone = []
    for row in rows:
        x, y = (v[()] for v in WEST.to_pixel(np.asarray(row["ra"]), np.asarray(row["dec"])))
        distance = np.hypot(placed.x - x, placed.y - y)
        own = placed.flux[np.argmin(distance), 2]
        near = distance < 30 + np.where(placed.reach > 24, placed.reach, 6)
        inside = 100 < x < 3900 and 20100 < y < 23900
        small = placed.sources.disk_radius[np.argmin(distance)] < 0.4
        if inside and small and placed.flux[near, 2].sum() - own < 0.008 * own:
            alone.append(row)
    assert len(alone) >= 10
    return alone[:40]


def one(magnitude, *, x=60.3, y=59.6, reach=127.0, survey=HSC, **values):
    """A single source for drawing."""
    made = source(survey, magnitude=magnitude, **values)
    return Placed(
        sources=made, x=np.array([x]), y=np.array([y]), flux=HSC.flux(made.magnitude),
        reach=np.array([reach]),
    )  # fmt: skip


def test_cutouts_are_120_or_121_pixels_wide_and_centred_within_half_a_pixel(coadd):
    turn = np.random.default_rng(3)
    x, y = turn.uniform(200, 3800, 300), turn.uniform(20200, 27800, 300)
    ra, dec = WEST.to_sky(x, y)
    for position in zip(ra, dec, strict=True):
        box = cutout_box(WEST, *position, half_size=10.0)
        assert {box.width, box.height} <= {120, 121}
        px, py = (float(v) for v in WEST.to_pixel(*(np.asarray(p) for p in position)))
        assert abs(px - box.x - (box.width - 1) / 2) <= 0.51
        assert abs(py - box.y - (box.height - 1) / 2) <= 0.51


def test_sizes_follow_the_rounding_of_real_cutouts(survey_data):
    """The rule, asked for 2 arcsec, gives the sizes 24 and 25 of real files."""
    sizes = {cutout_box(WEST, 330.7 + 1e-5 * k, 0.01, half_size=2.0).width for k in range(40)}
    fits = pytest.importorskip("astropy.io.fits")
    folder = survey_data / "hsc" / "hyrax_hscstars" / "images"
    real = {fits.getheader(path, 1)["NAXIS1"] for path in folder.glob("*.fits")}
    assert sizes == real == {24, 25}


def test_a_star_has_the_profile_of_the_point_spread_image():
    band = band_at(WEST.number, PATCH, "i")
    star = draw(
        one(18.0, x=60.0, y=60.0), [band], [2], scale=SCALE, shape=(121, 121)
    )[0]  # fmt: skip
    image = point_spread(band)
    assert image.shape == (41, 41)
    assert image.sum() == pytest.approx(1, abs=1e-5)
    middle = star[40:81, 40:81] / star[40:81, 40:81].sum()
    assert np.abs(middle - image).max() < 2e-3 * image.max()


@pytest.mark.parametrize("band", ["g", "y"])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.37, -0.46)])
def test_a_galaxy_is_what_galsim_draws(band, offset):
    seen = band_at(WEST.number, PATCH, band)
    shape = {"disk_radius": 1.1, "bulge_radius": 0.5, "axis_ratio": 0.4, "bulge_ratio": 0.8}
    placed = one(20.0, x=60 + offset[0], y=60 + offset[1], bulge=0.35, angle=0.7, **shape)
    k = HSC.band_index(band)
    ours = draw(placed, [seen], [k], scale=SCALE, shape=(121, 121))[0]
    turned = (0.7 + np.pi / 2) * galsim.radians
    # Our radii are along the major axis; GalSim's shear keeps the area.
    parts = [
        galsim.Exponential(half_light_radius=1.1 * 0.4**0.5).shear(q=0.4, beta=turned) * 0.65,
        galsim.DeVaucouleurs(half_light_radius=0.5 * 0.8**0.5, trunc=8 * 0.5 * 0.8**0.5).shear(
            q=0.8, beta=turned
        ) * 0.35,
    ]  # fmt: skip
    kernel = galsim.Moffat(beta=seen.psf_beta, fwhm=seen.psf_fwhm)
    theirs = galsim.Convolve(galsim.Add(parts), kernel).withFlux(10 ** (0.4 * 7)).drawImage(
        nx=121, ny=121, scale=SCALE, offset=offset
    ).array  # fmt: skip
    assert ours.sum() == pytest.approx(theirs.sum(), rel=3e-3)
    assert np.abs(ours - theirs).max() < 4e-3 * theirs.max()
    assert moments(ours)[:2] == pytest.approx(moments(theirs)[:2], abs=0.01)


@pytest.mark.parametrize(("x", "y"), [(60.0, 50.0), (60.37, 50.49)])
def test_a_bright_sharp_star_falls_as_its_profile_and_does_not_ring(x, y):
    """A band-limited grid would leave stripes of half a count along the star's row and column."""
    width = 0.45
    band = replace(band_at(WEST.number, PATCH, "i"), psf_fwhm=width)
    star = draw(
        one(16.0, x=x, y=y, reach=300.0), [band], [2], scale=SCALE, shape=(121, 121)
    )[0].astype(float)  # fmt: skip
    rows, columns = np.indices(star.shape)
    far = np.hypot(columns - x, rows - y) > 20
    # Moffat: (beta - 1) / (pi r^2) (1 + (R / r)^2)^-beta; the pixel matters little out there.
    core = width / SCALE / (2 * np.sqrt(2**0.4 - 1))
    squared = ((columns - x) ** 2 + (rows - y) ** 2) / core**2
    expected = 10 ** (0.4 * 11) * 1.5 / (np.pi * core**2) * (1 + squared) ** -2.5
    assert np.abs(star - expected)[far].max() < 0.006
    assert expected[far].max() > 0.03


@pytest.mark.parametrize("width", [0.45, 0.77])
def test_the_closed_form_of_the_psf_is_galsims(width):
    size = 64
    profile = galsim.Convolve(galsim.Moffat(beta=2.5, fwhm=width), galsim.Pixel(SCALE))
    step = 2 * np.pi / size / SCALE
    theirs = profile.drawKImage(nx=size + 1, ny=size + 1, scale=step).real.array
    ours = blur(width, SCALE, size=size)
    half = size // 2
    assert np.abs(ours[:half, :half] - theirs[half:-1, half:-1]).max() < 1e-4
    # One turn further along x: what lies between the highest frequency and twice that.
    beyond = blur(width, SCALE, size=size, alias=(1, 0))
    wide = profile.drawKImage(nx=2 * size + 1, ny=2 * size + 1, scale=step).real.array
    assert np.abs(beyond[:half, 1:half] - wide[size : -half - 1, 1:half]).max() < 1e-4


def test_the_size_of_the_square_does_not_change_a_source():
    band = band_at(WEST.number, PATCH, "r")
    small, large = (
        draw(one(23.0, reach=reach, disk_radius=0.3, bulge_radius=0.1), [band], [1],
             scale=SCALE, shape=(121, 121))[0]
        for reach in (30.0, 300.0)
    )  # fmt: skip
    assert np.abs(small - large).max() < 0.002
    # The small square keeps the light that falls beyond the cutout on the large one.
    assert small.sum() == pytest.approx(large.sum(), rel=1e-3)


def test_bright_isolated_objects_are_where_the_cutout_says(coadd, isolated):
    offsets = []
    for cutout in coadd.cutouts(objects(isolated), "i", half_size=10.0):
        x, y = cutout.position["i"]
        left, low = round(x) - 8, round(y) - 8
        box = cutout.pixels["i"][low : low + 17, left : left + 17].astype(float)
        weight = np.clip(box - 0.05 * box.max(), 0, None)
        yy, xx = np.indices(box.shape)
        offsets.append(
            ((weight * xx).sum() / weight.sum() + left - x,
             (weight * yy).sum() / weight.sum() + low - y)
        )  # fmt: skip
    assert np.abs(offsets).max() < 0.1
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.03


@pytest.mark.parametrize("band", ["g", "i"])
def test_aperture_fluxes_are_the_catalogues_magnitudes(coadd, isolated, band):
    server = HSCServer(Universe(), SMALL)
    ids = ",".join(str(row["object_id"]) for row in isolated)
    column = f"{band}_cmodel_mag"
    table = server.execute(
        f"SELECT object_id, {column} FROM pdr2_wide.forced WHERE object_id IN ({ids}) "
        f"AND {column} < 20.5 ORDER BY object_id"
    )
    wanted = dict(zip(*(table.column(n).to_pylist() for n in table.column_names), strict=True))
    ratios = []
    for cutout in coadd.cutouts(objects(isolated), [band], half_size=10.0):
        if cutout.object_id in wanted:
            x, y = cutout.position[band]
            image = cutout.pixels[band].astype(float)
            yy, xx = np.indices(image.shape)
            radius = np.hypot(xx - x, yy - y)
            sky = np.median(image[(radius > 48) & (radius < 58)])
            flux = (image - sky)[radius < 30].sum()
            ratios.append(27 - 2.5 * np.log10(flux) - wanted[cutout.object_id])
    assert len(ratios) >= 5
    # The catalogue has one per cent of model noise; some faint neighbours are in the aperture.
    assert abs(np.median(ratios)) < 2.5 * np.log10(1.01)
    assert np.quantile(np.abs(ratios), 0.9) < 2.5 * np.log10(1.03)


def test_noise_is_white_unit_and_the_same_wherever_one_looks():
    box = cutout_box(WEST, 330.75, 0.02, half_size=40.0)
    noise = white(7, WEST.number, "z", box)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert abs(noise.mean()) < 0.01
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 0.01
    inner = replace(box, x=box.x + 37, y=box.y + 111, width=50, height=60)
    assert (white(7, WEST.number, "z", inner) == noise[111:171, 37:87]).all()
    assert (white(7, WEST.number, "y", box) != noise).all()
    beyond = replace(box, x=-30, y=35990)
    assert white(7, WEST.number, "z", beyond).std() == pytest.approx(1, abs=0.01)


def test_background_scatters_and_correlates_as_declared(coadd):
    """Empty pixels of cutouts: the depth, and a correlation of 0.1 with the next pixel."""
    ra, dec = WEST.to_sky(np.arange(300, 3900, 300.0), np.full(12, 22000.0))
    asked = [
        CutoutObject(object_id=k, ra=a, dec=d, tile=(20001, 200010005))
        for k, (a, d) in enumerate(zip(ra, dec, strict=True))
    ]
    scatter, neighbour = [], []
    for cutout in coadd.cutouts(asked, "g", half_size=10.0):
        if "g" in cutout.pixels:
            image = cutout.pixels["g"].astype(float)
            image = image - np.median(image)
            limit = 3 * 1.4826 * np.median(np.abs(image))
            empty = np.abs(image) < limit
            scatter.append(1.4826 * np.median(np.abs(image)))
            both = empty[:, 1:] & empty[:, :-1]
            neighbour.append((image[:, 1:] * image[:, :-1])[both].mean() / image[empty].var())
    # The weights (0.05, 1, 0.05) / 1.1 along both axes.
    expected = noise_at(20001, PATCH, "g") * (1 + 2 * 0.05**2) / 1.1**2
    assert np.median(scatter) == pytest.approx(expected, rel=0.06)
    assert 0.08 < np.median(neighbour) < 0.16


def test_background_is_that_of_real_cutouts(coadd, survey_data):
    """A COSMOS cutout, g and r; its i, z and y are deeper than the Wide layer."""
    real = np.load(survey_data / "hsc" / "hsc_cosmos.npz", allow_pickle=True)["images"]
    for k, band in enumerate("gr"):
        steps = np.diff(real[k].astype(float), axis=1)
        there = 1.4826 * np.median(np.abs(steps - np.median(steps))) / 2**0.5
        here = noise_at(20001, PATCH, band) * (1 + 2 * 0.05**2) / 1.1**2 * (1 - 0.0995) ** 0.5
        assert here == pytest.approx(there, rel=0.25)


def test_results_do_not_depend_on_the_batch_or_the_order(coadd, rows):
    asked = objects(rows)[:12]
    together = {c.object_id: c for c in coadd.cutouts(asked, "grizy", half_size=10.0)}
    fresh = Coadd(Universe(), SMALL)
    for cutout in fresh.cutouts(asked[::-1], "yg", half_size=10.0):
        other = together[cutout.object_id]
        for band, pixels in cutout.pixels.items():
            assert pixels.dtype == np.float32
            assert (pixels == other.pixels[band]).all()
            assert cutout.position[band] == other.position[band]


def test_overlapping_cutouts_of_a_patch_share_their_pixels(coadd):
    x, y = np.array([1500.0, 1540.0]), np.array([21500.0, 21475.0])
    ra, dec = WEST.to_sky(x, y)
    boxes = [cutout_box(WEST, a, d, half_size=10.0) for a, d in zip(ra, dec, strict=True)]
    first, second = (coadd.render(WEST, PATCH, box, ["r"])["r"] for box in boxes)
    right, up = boxes[1].x - boxes[0].x, boxes[0].y - boxes[1].y
    a = first[: first.shape[0] - up, right:]
    b = second[up:, : second.shape[1] - right]
    rows, columns = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
    assert rows > 80
    assert (a[:rows, :columns] == b[:rows, :columns]).all()


def test_another_process_renders_the_same_bits(coadd, rows):
    row = rows[0]
    code = (
        "import hashlib, galaxyds.sky.hsc_coadd as c\n"
        "from galaxyds.sky import Universe\n"
        "from galaxyds.archives.base import CutoutObject\n"
        "from tests.sky.hsc_small import SMALL\n"
        f"o = CutoutObject(object_id=1, ra={row['ra']!r}, dec={row['dec']!r}, tile=(20001,))\n"
        "for one in c.Coadd(Universe(), SMALL).cutouts([o], 'gi', half_size=10.0):\n"
        "    print(hashlib.sha256(one.pixels['i'].tobytes()).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    import hashlib

    (here,) = coadd.cutouts(objects([row]), "i", half_size=10.0)
    assert hashlib.sha256(here.pixels["i"].tobytes()).hexdigest() == there


def test_some_places_have_no_data_in_one_band_or_in_all(coadd):
    turn = np.random.default_rng(1)
    places = turn.uniform(0, 36000, (8000, 2))
    gone = np.array([[is_missing(20001, x, y, b) for b in "grizy"] for x, y in places])
    assert 0.0005 < gone.all(axis=1).mean() < 0.003
    assert 0.003 < (gone.any(axis=1) & ~gone.all(axis=1)).mean() < 0.015
    hole = next(
        (x, y)
        for x, y in turn.uniform((100, 20100), (3900, 27900), (20000, 2))
        if is_missing(20001, x, y, "r") and not is_missing(20001, x, y, "g")
    )
    ra, dec = WEST.to_sky(np.asarray(hole[0]), np.asarray(hole[1]))
    lacking = CutoutObject(object_id=5, ra=float(ra), dec=float(dec), tile=(20001,))
    (cutout,) = coadd.cutouts([lacking], "gr", half_size=10.0)
    (spread,) = coadd.point_spreads([lacking], "gr")
    assert cutout.missing == spread.missing == {"r": "no data in the archive"}
    assert list(cutout.pixels) == list(spread.images) == ["g"]


def test_outside_of_the_observed_patches_there_is_no_data(coadd):
    far = CutoutObject(object_id=6, ra=329.9, dec=0.0, tile=(20001,))
    (cutout,) = coadd.cutouts([far], "gi", half_size=10.0)
    assert cutout.pixels == {}
    assert set(cutout.missing) == {"g", "i"}


def test_refusals(coadd):
    near = CutoutObject(object_id=6, ra=330.7, dec=0.0, tile=(9813,))
    with pytest.raises(NotInArchiveError, match="no tract 9813"):
        list(coadd.cutouts([near], "g", half_size=10.0))
    with pytest.raises(UsageError, match="HSC has no band 'u'"):
        list(coadd.point_spreads([near], "u"))


def test_seeing_varies_from_patch_to_patch_around_the_surveys():
    widths = np.array(
        [band_at(20001, (x, y), "i").psf_fwhm for x in range(9) for y in range(9)]
    )  # fmt: skip
    assert 0.01 < widths.std() / widths.mean() < 0.08
    assert widths.mean() == pytest.approx(HSC.band("i").psf_fwhm, rel=0.12)
