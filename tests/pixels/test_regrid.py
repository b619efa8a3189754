"""Regridding against closed forms, astropy's grids and the kernel written out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from astropy.wcs.utils import proj_plane_pixel_area

from galaxyds.errors import UsageError
from galaxyds.pixels import KERNELS, Frame, lanczos, onto_grid, tangent
from galaxyds.pixels.regrid import regrid
from tests.pixels.fields import SCALE, frame, gaussian, sky, tan, waves

ARCSEC = SCALE * 3600
ANGLES = [0.0, 0.4, np.pi / 2, 2.0, np.pi, -1.1]
CENTRE = (100.3, 120.7)


def upright(ra: float, dec: float, size: int, scale: float = ARCSEC) -> WCS:
    """North up, east left, the object in the middle."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(size + 1) / 2, (size + 1) / 2]
    wcs.wcs.cdelt = [-scale / 3600, scale / 3600]
    wcs.wcs.set()
    return wcs


def one(source: Frame, *, at=CENTRE, size=48, scale=ARCSEC, kernel="lanczos3") -> np.ndarray:
    ra, dec = sky(*at)
    return regrid(source, ra, dec, size=size, scale=scale, kernel=kernel)[0]


def places(target: WCS, wcs: WCS, shape: tuple[int, int]) -> np.ndarray:
    """Columns and rows in ``wcs`` of all pixels of a target, by astropy; shape (2, pixels)."""
    row, column = np.indices(shape)
    sky_of = target.wcs_pix2world(np.stack([column.ravel(), row.ravel()], axis=1), 0)
    return wcs.wcs_world2pix(sky_of, 0).T


def moments(image: np.ndarray) -> tuple[float, float, float]:
    image = image.astype(float)
    row, column = np.indices(image.shape)
    total = image.sum()
    return total, (image * row).sum() / total, (image * column).sum() / total


@pytest.mark.parametrize(("ra", "dec"), [(10.0, 0.0), (359.9999, 52.0), (150.1, -87.0), (0, 90)])
def test_grids_are_astropys(ra, dec):
    i, j = np.array([-31.5, 0.0, 7.0, 31.5]), np.array([-31.5, 0.0, -20.0, 12.0])
    grids = tangent.TangentGrids(np.array([ra]), np.array([dec]), 0.396)
    got = grids.sky(np.array([0]), i, j)
    expected = upright(ra, dec, 64, 0.396).wcs_pix2world(j + 31.5, i + 31.5, 0)
    east = (got[0][0] - expected[0] + 180) % 360 - 180
    np.testing.assert_allclose(east * np.cos(np.radians(dec)), 0, atol=1e-11)
    np.testing.assert_allclose(got[1][0], expected[1], atol=1e-11)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("scale", [1.0, 1.2, 0.8])
def test_a_source_keeps_its_flux_and_lies_in_the_middle(angle, scale, kernel):
    source = frame("r", tan(angle=angle, scale=scale), gaussian(*CENTRE, sigma=2.5), (280, 260))
    flux, row, column = moments(one(source, kernel=kernel))
    # On a grid in step with the frame's all pixels have one phase: there the kernel's sums over
    # them and its first moment show (0.3 %, 0.02 px), elsewhere they average out.
    assert flux == pytest.approx(100.0, rel=3e-3 if kernel == "lanczos3" else 5e-3)
    assert (row, column) == pytest.approx((23.5, 23.5), abs=0.025)


@pytest.mark.parametrize("size", [1, 2, 33, 64])
def test_rows_go_north_and_columns_west(size):
    east_and_north = {"east": (1.0, 0.0), "north": (0.0, 1.0)}
    wcs = tan(angle=0.7)
    row, column = np.indices((240, 200))
    ra, dec = wcs.wcs_pix2world(column.ravel(), row.ravel(), 0)
    x, y = upright(*(p[0] for p in sky(*CENTRE)), size).wcs_world2pix(ra, dec, 0)
    offsets = {"east": (size - 1) / 2 - x, "north": y - (size - 1) / 2}
    step = np.arange(size) - (size - 1) / 2
    for name, (east, north) in east_and_north.items():
        pixels = offsets[name].reshape(240, 200).astype(np.float32)
        got = one(Frame(band="r", pixels=pixels, wcs=wcs), size=size, kernel="bilinear")
        expected = north * step[:, None] - east * step[None, :]
        np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize("angle", ANGLES)
def test_lanczos_is_the_kernel_written_out(angle):
    """Every pixel, against weights at positions that astropy gives."""
    wcs = tan(angle=angle, scale=1.1)
    pixels = np.random.default_rng(4).normal(size=(240, 200)).astype(np.float32)
    got = one(Frame(band="r", pixels=pixels, wcs=wcs), size=40)
    target = upright(*(p[0] for p in sky(*CENTRE)), 40)
    row, column = np.indices((40, 40))
    place = wcs.wcs_world2pix(
        target.wcs_pix2world(np.stack([column.ravel(), row.ravel()], 1), 0), 0
    )
    expected = lanczos.pointwise(pixels, place[:, 1], place[:, 0]).reshape(40, 40)
    expected *= proj_plane_pixel_area(target) / proj_plane_pixel_area(wcs)
    np.testing.assert_allclose(got, expected, atol=5e-4)  # positions are rounded to 1 / 8192


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [0.2, 0.396, 0.5])
def test_a_constant_is_multiplied_by_the_area(kernel, scale):
    flat = Frame(band="r", pixels=np.full((240, 200), 7.0, np.float32), wcs=tan(angle=0.3))
    got = one(flat, size=64, scale=scale, kernel=kernel)
    np.testing.assert_allclose(got, 7.0 * (scale / ARCSEC) ** 2, rtol=3e-6)


@pytest.mark.parametrize(("kernel", "tolerance"), [("lanczos3", 8e-3), ("bilinear", 0.08)])
def test_a_pattern_lands_where_it_is_on_the_sky(kernel, tolerance):
    source = frame("r", tan(angle=0.5), waves, (300, 300))
    ra, dec = sky([90.2, 100.9, 118.4], [104.8, 120.1, 133.3])
    got = regrid(source, ra, dec, size=32, scale=ARCSEC, kernel=kernel)
    for k in range(3):
        u, v = places(upright(ra[k], dec[k], 32), tan(), (32, 32))
        np.testing.assert_allclose(got[k].ravel(), waves(u, v), atol=tolerance)


@pytest.mark.parametrize(("kernel", "low", "high"), [("lanczos3", 2, 3), ("bilinear", 0, 1)])
def test_nan_spreads_as_far_as_the_kernel_and_no_further(kernel, low, high):
    wcs = tan(angle=0.6)
    pixels = np.ones((240, 200), np.float32)
    x, y = (round(float(p[0])) for p in wcs.wcs_world2pix(*sky(*CENTRE), 0))
    pixels[y, x] = np.nan
    got = one(Frame(band="r", pixels=pixels, wcs=wcs), size=32, kernel=kernel)
    target = upright(*(p[0] for p in sky(*CENTRE)), 32)
    row, column = np.indices((32, 32))
    u, v = wcs.wcs_world2pix(
        target.wcs_pix2world(np.stack([column.ravel(), row.ravel()], 1), 0), 0
    ).T
    under = [(np.floor(p) - low <= at) & (np.floor(p) + high >= at) for p, at in ((u, x), (v, y))]
    np.testing.assert_array_equal(np.isnan(got).ravel(), under[0] & under[1])
    np.testing.assert_allclose(got[np.isfinite(got)], 1.0, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_the_frame_does_not_have_is_nan(kernel):
    flat = Frame(band="r", pixels=np.ones((240, 200), np.float32), wcs=tan(angle=0.4))
    x, y = np.meshgrid([-60.0, -20.0, 3.0, 100.0, 190.0, 230.0], [-60.0, 0.0, 120.0, 235.0])
    ra, dec = flat.wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
    got = regrid(flat, ra, dec, size=32, scale=ARCSEC, kernel=kernel)
    low, high = (2, 3) if kernel == "lanczos3" else (0, 1)
    for k in range(len(ra)):
        u, v = np.floor(places(upright(ra[k], dec[k], 32), flat.wcs, (32, 32)))
        inside = (u >= low) & (u + high <= 199) & (v >= low) & (v + high <= 239)
        np.testing.assert_array_equal(np.isfinite(got[k]).ravel(), inside)
    assert np.isnan(got[0]).all()


@pytest.mark.parametrize(("ra", "dec"), [(156.66, 0.93), (np.nan, 1.0), (0.0, 90.0), (80.0, -30)])
def test_a_position_far_away_or_unknown_is_all_nan(ra, dec):
    near = sky(*CENTRE)
    got = regrid(
        frame("r", tan(), waves), np.array([ra, *near[0]]), np.array([dec, *near[1]]),
        size=32, scale=ARCSEC,
    )  # fmt: skip
    assert np.isnan(got[0]).all()
    assert np.isfinite(got[1]).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_object_does_not_depend_on_its_company(kernel):
    source = frame("r", tan(angle=0.9, scale=0.9), waves)
    source.pixels[100, 90] = np.nan
    rng = np.random.default_rng(9)
    ra, dec = sky(rng.uniform(-30, 230, 60), rng.uniform(-30, 270, 60))
    together = regrid(source, ra, dec, size=32, scale=ARCSEC, kernel=kernel)
    order = rng.permutation(60)
    other = regrid(source, ra[order], dec[order], size=32, scale=ARCSEC, kernel=kernel)
    assert other.tobytes() == together[order].tobytes()
    for k in range(0, 60, 7):
        alone = regrid(source, ra[[k]], dec[[k]], size=32, scale=ARCSEC, kernel=kernel)
        assert alone.tobytes() == together[k].tobytes()


def test_frames_stay_as_they_are_and_no_objects_give_no_cutouts():
    source = frame("r", tan(angle=0.2), waves)
    before = source.pixels.tobytes()
    assert one(source).dtype == np.float32
    assert source.pixels.tobytes() == before
    got = regrid(source, np.zeros(0), np.zeros(0), size=32, scale=ARCSEC)
    assert got.shape == (0, 32, 32)


@pytest.mark.parametrize("shape", [(64, 64), (150, 97), (1, 5), (70, 130)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_whole_grid_is_the_kernel_at_its_pixels(shape, kernel):
    wcs, grid = tan(angle=0.35), tan((-20, -35), angle=-0.1, scale=0.8)
    pixels = np.random.default_rng(7).normal(size=(240, 200)).astype(np.float32)
    got = onto_grid(Frame(band="r", pixels=pixels, wcs=wcs), grid, shape, kernel=kernel)
    u, v = places(grid, wcs, shape)
    low, high = (2, 3) if kernel == "lanczos3" else (0, 1)
    inside = (np.floor(u) >= low) & (np.floor(u) + high <= 199)
    inside &= (np.floor(v) >= low) & (np.floor(v) + high <= 239)
    np.testing.assert_array_equal(np.isfinite(got).ravel(), inside)
    if kernel == "lanczos3":
        expected = lanczos.pointwise(pixels, v[inside], u[inside]) * 0.64
    else:
        f, g, p = u % 1, v % 1, np.pad(pixels, 1)
        x, y = np.clip(np.floor([u, v]).astype(int) + 1, 0, [[200], [240]])
        expected = (
            (1 - g) * ((1 - f) * p[y, x] + f * p[y, x + 1])
            + g * ((1 - f) * p[y + 1, x] + f * p[y + 1, x + 1])
        )[inside] * 0.64  # fmt: skip
    assert got.shape == shape
    np.testing.assert_allclose(got.ravel()[inside], expected, atol=1e-3)


def test_a_grid_that_curves_is_followed_pixel_by_pixel():
    """A distorted frame: places and areas from astropy's own distortion, not a linear map."""
    wcs = tan(angle=0.2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    bend = np.zeros((3, 3))
    bend[2, 0] = 2e-4
    wcs.sip = Sip(bend, bend.T, np.zeros((3, 3)), np.zeros((3, 3)), wcs.wcs.crpix)
    y, x = np.indices((240, 200))
    corners = [  # of a pixel, in plane coordinates of tan()
        tan().wcs_world2pix(np.stack(wcs.all_pix2world(x.ravel() + a, y.ravel() + b, 0), 1), 0)
        for a, b in ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
    ]
    across, along = corners[1] - corners[2], corners[3] - corners[4]
    area = np.abs(across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0])
    pixels = (area * waves(*corners[0].T)).reshape(240, 200).astype(np.float32)
    got = onto_grid(Frame(band="r", pixels=pixels, wcs=wcs), tan((-60, -80)), (80, 70))
    row, column = np.indices((80, 70))
    np.testing.assert_allclose(got, waves(column + 60, row + 80), atol=0.012)
    assert area.max() / area.min() > 1.1


def test_a_mapped_mosaic_is_read_only_where_it_is_needed(tmp_path):
    """Reads of a mosaic are counted; it is a sparse file of 20,000 x 20,000 pixels."""
    mosaic = np.memmap(tmp_path / "mosaic", dtype=">f4", mode="w+", shape=(20_000, 20_000))
    wcs = tan((9_000, 11_000), angle=0.3)
    x, y = (int(p[0]) for p in wcs.wcs_world2pix(*sky(*CENTRE), 0))
    mosaic[y - 150 : y + 150, x - 150 : x + 150] = 3.0

    class Counted(np.memmap):
        largest = 0

        def __getitem__(self, index):
            found = super().__getitem__(index)
            Counted.largest = max(Counted.largest, np.size(found))
            return found

    source = Frame(band="r", pixels=mosaic.view(Counted), wcs=wcs)
    grid = upright(*(p[0] for p in sky(*CENTRE)), 150)
    got = onto_grid(source, grid, (150, 150))
    area = proj_plane_pixel_area(grid) / proj_plane_pixel_area(wcs)
    np.testing.assert_allclose(got, 3.0 * area, rtol=1e-5)
    assert got.dtype == np.float32
    assert 64 * 64 < Counted.largest < 150 * 150


def test_a_coarse_grid_reads_no_more_than_the_frame():
    """12 GiB of samples under the target, 0.2 MB of them on the frame."""
    flat = Frame(band="r", pixels=np.ones((240, 200), np.float32), wcs=tan(angle=0.3))
    tracemalloc.start()
    got = one(flat, size=65, scale=360.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100e6
    assert got[32, 32] == pytest.approx((360.0 / ARCSEC) ** 2, rel=1e-5)
    assert np.isnan(got).sum() == 65 * 65 - 1


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"scale": 0.0}, {"scale": np.nan}, {"kernel": "nearest"}], ids=str
)
def test_impossible_requests_are_refused(wrong):
    right = {"size": 32, "scale": ARCSEC, "kernel": "lanczos3"}
    with pytest.raises(UsageError):
        regrid(frame("r", tan(), waves), *sky(*CENTRE), **(right | wrong))


def test_unequal_positions_and_empty_grids_are_refused():
    with pytest.raises(UsageError):
        regrid(frame("r", tan(), waves), np.zeros(3), np.zeros(4), size=8, scale=1.0)
    with pytest.raises(UsageError):
        onto_grid(frame("r", tan(), waves), tan(), (0, 4))
