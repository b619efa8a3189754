"""Mosaics against closed forms, astropy's own coordinates, real files and files that lie."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import maximum_filter

from galaxyds.archives.mosaic_files import emptied, open_mosaic
from galaxyds.archives.mosaic_headers import (
    FILTER_KEYWORDS,
    FLUX_KEYWORDS,
    KIND_KEYWORDS,
    MAGNITUDE_KEYWORDS,
    SYSTEM_KEYWORDS,
    band_of,
    require_image,
    zero_point_of,
)
from galaxyds.archives.mosaics import EXPECTED, REACH, Mosaics, need
from galaxyds.errors import DataIntegrityError, UsageError

PLACE = (150.105, 2.203)


def projection(*, scale, turn=0.0, crval=(150.1, 2.2), crpix=(300.5, 250.5)):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = crval, crpix
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * scale / 3600
    wcs.wcs.set()
    return wcs


def gaussian(wcs, shape, *, flux, sigma, at=PLACE):
    """A round Gaussian of a flux, ``sigma`` in arcsec, as pixel values at pixel centres."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    x0, y0 = wcs.all_world2pix(*at, 0)
    s = sigma / (np.sqrt(abs(np.linalg.det(wcs.wcs.cd))) * 3600)
    return flux / (2 * np.pi * s**2) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * s**2))


def write(path, image, wcs, **cards):
    header = wcs.to_header()
    for key, value in {"FILTER": "Ks", "MAGZERO": 27.0, "PHOTSYS": "AB", **cards}.items():
        if value is None:
            header.remove(key, ignore_missing=True)
        else:
            header[key] = value
    fits.writeto(path, np.asarray(image, np.float32), header, overwrite=True)
    return path


def cutout_grid(at=PLACE, size=64):
    """HSC's grid: tangent point far away, the object within half a pixel of the middle."""
    wcs = projection(scale=0.168, crval=(149.8, 2.5), crpix=(0.0, 0.0))
    x, y = wcs.all_world2pix(*at, 0)
    wcs.wcs.crpix = [(size - 1) // 2 - round(float(v)) for v in (x, y)]
    return wcs


class TestFlux:
    @pytest.mark.parametrize(
        ("scale", "turn", "zero_point"),
        [(0.168, 0, 27.0), (0.2, 33, 30.0), (0.3, -120, 23.9), (0.25, 2, 25.5), (0.15, 90, 30.0)],
    )
    def test_a_gaussian_keeps_its_flux_and_its_shape(self, tmp_path, scale, turn, zero_point):
        wcs = projection(scale=scale, turn=turn)
        image = gaussian(wcs, (500, 600), flux=1000.0, sigma=0.7) + 1e-7
        write(tmp_path / "a.fits", image, wcs, MAGZERO=zero_point)
        grid = cutout_grid()
        found = Mosaics.of(tmp_path).cutout("Ks", grid, (64, 64), at=PLACE)
        flux = 1000.0 * 10 ** (0.4 * (27.0 - zero_point))
        assert found.sum() == pytest.approx(flux, rel=1e-3)
        wanted = gaussian(grid, (64, 64), flux=flux, sigma=0.7)
        # Lanczos-3 is no perfect interpolation; a shift by 0.05 pixel would be 0.007.
        assert np.abs(found - wanted).max() < 5e-3 * wanted.max()

    def test_the_farthest_from_an_edge_counts_and_the_others_fill_it(self, tmp_path):
        wide = projection(scale=0.2)
        x, y = (int(v) for v in wide.all_world2pix(*PLACE, 0))
        first = np.full((500, 600), 2.0)
        first[:, : x - 10] = 0  # ends ten pixels left of the object
        write(tmp_path / "first.fits", first, wide)
        write(tmp_path / "second.fits", np.full((y + 20, 600), 3.0), wide)
        found = Mosaics.of(tmp_path).cutout("Ks", cutout_grid(), (64, 64), at=PLACE)
        ratio = (0.168 / 0.2) ** 2
        assert found[32, 32] == pytest.approx(2 * ratio, rel=1e-4)
        assert found[32, 5] == pytest.approx(3 * ratio, rel=1e-4)
        assert np.isnan(found[-1, 5])


class TestCoverage:
    def test_it_is_what_is_in_the_file(self, tmp_path):
        random = np.random.default_rng(3)
        image = random.normal(1, 0.1, (200, 260))
        image[random.random(image.shape) < 3e-4] = np.nan
        image[60:63, 80:83] = 0
        image[150, 20] = 0  # alone: measured
        image[:, 230:] = 0
        wcs = projection(scale=0.2, crpix=(130, 100))
        write(tmp_path / "a.fits", image, wcs)
        ok = np.isfinite(image)
        ok[60:63, 80:83] = False
        ok[:, 230:] = False
        ok = np.pad(ok, REACH, constant_values=False)
        x, y = random.uniform(-20, 280, 800), random.uniform(-20, 220, 800)
        x[0], y[0] = 20.0, 150.0
        ra, dec = wcs.all_pix2world(x, y, 0)
        mosaics = Mosaics.of(tmp_path)
        found = mosaics.covering(ra, dec)["Ks"]
        for n, (column, row) in enumerate(
            zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True)
        ):
            inside = 0 <= column < 260 and 0 <= row < 200
            around = ok[row : row + 2 * REACH + 1, column : column + 2 * REACH + 1]
            assert found[n] == (inside and bool(around.all())), (column, row)
        assert 100 < found.sum() < 700
        for n in range(0, 800, 40):
            at = (float(ra[n]), float(dec[n]))
            image = mosaics.cutout("Ks", cutout_grid(at), (64, 64), at=at)
            assert (image is not None) == found[n]
            if image is not None:
                assert np.isfinite(image[30:33, 30:33]).all()

    def test_other_bands_and_the_other_side_of_the_sky_are_not_covered(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((500, 600)), projection(scale=0.2))
        mosaics = Mosaics.of(tmp_path)
        found = mosaics.covering(np.array([150.1, 330.1]), np.array([2.2, -2.2]))
        assert found["Ks"].tolist() == [True, False]
        assert not any(found[band].any() for band in ("u*", "u", "J", "H"))
        assert mosaics.bands == ("Ks",)
        assert mosaics.cutout("J", cutout_grid(), (64, 64), at=PLACE) is None

    def test_a_weight_of_zero_is_no_data(self, tmp_path):
        wcs = projection(scale=0.2)
        write(tmp_path / "a.fits", np.ones((500, 600)), wcs)
        weight = np.ones((500, 600), np.float32)
        weight[:, 300:] = 0
        fits.writeto(tmp_path / "a.weight.fits", weight)
        ra, dec = wcs.all_pix2world([200, 400], [250, 250], 0)
        assert Mosaics.of(tmp_path).covering(ra, dec)["Ks"].tolist() == [True, False]

    @pytest.mark.parametrize(
        "name",
        [
            "a.WEIGHT.fits", "a.weights.fits", "a.conf.fits", "a_wht.fit", "weight_a.fits",
            "A-Wht.FITS",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["f4", "i2"])
    def test_weights_are_known_by_many_names(self, tmp_path, name, kind):
        write(tmp_path / "a.fits", np.ones((500, 600)), projection(scale=0.2))
        weight = np.ones((500, 600), kind)
        weight[:, 300:] = 0
        fits.writeto(tmp_path / name, weight)
        self.half_is_there(tmp_path)

    def test_a_weight_behind_the_image_counts(self, tmp_path):
        image = fits.ImageHDU(np.ones((500, 600), "f4"), projection(scale=0.2).to_header())
        for key, value in {"FILTER": "Ks", "MAGZERO": 27.0, "PHOTSYS": "AB"}.items():
            image.header[key] = value
        weight = np.ones((500, 600), np.float32)
        weight[:, 300:] = 0
        parts = [image, fits.ImageHDU(weight, name="WHT")]
        fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(tmp_path / "a.fits")
        self.half_is_there(tmp_path)
        parts[1] = fits.CompImageHDU(weight, name="WHT")
        fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(tmp_path / "a.fits", overwrite=True)
        with pytest.raises(DataIntegrityError, match="funpack it first"):
            Mosaics.of(tmp_path)

    @staticmethod
    def half_is_there(folder):
        mosaics = Mosaics.of(folder)
        assert len(mosaics.mosaics) == 1
        ra, dec = projection(scale=0.2).all_pix2world([200, 400], [250, 250], 0)
        assert mosaics.covering(ra, dec)["Ks"].tolist() == [True, False]

    def test_a_huge_one_is_mapped(self, tmp_path):
        side = 30_000
        wcs = projection(scale=0.15, crpix=(side / 2, side / 2))
        path = write(tmp_path / "a.fits", np.ones((4, 4)), wcs)
        header = fits.getheader(path)
        header["NAXIS1"] = header["NAXIS2"] = side
        path.write_bytes(header.tostring().encode())
        with path.open("r+b") as file:
            file.truncate(len(header.tostring()) + 4 * side**2)  # 3.6 GB of holes
        x, y = (round(float(v)) for v in wcs.all_world2pix(*PLACE, 0))
        with fits.open(path, mode="update", memmap=True) as hdus:
            hdus[0].data[y - 60 : y + 60, x - 60 : x + 60] = 2.0
        mosaics = Mosaics.of(tmp_path)
        ra, dec = np.array([PLACE[0], 150.4]), np.array([PLACE[1], 2.2])
        assert mosaics.covering(ra, dec)["Ks"].tolist() == [True, False]
        found = mosaics.cutout("Ks", cutout_grid(), (64, 64), at=PLACE)
        assert found == pytest.approx(2 * (0.168 / 0.15) ** 2, rel=1e-4)


def test_only_blocks_of_zeros_are_empty():
    image = np.ones((12, 12), np.float32)
    image[2, 2] = image[2, 6:11] = image[3, 6:11] = 0
    image[6:9, 4:7] = 0
    image[10:, 10:] = 0  # two by two, and all counts as empty beyond the edge
    image[5, 0] = np.inf
    found = np.isnan(emptied(image))
    wanted = np.zeros((12, 12), bool)
    wanted[6:9, 4:7] = wanted[10:, 10:] = wanted[5, 0] = True
    assert np.array_equal(found, wanted)


class TestRealFiles:
    """A cutout of Pan-STARRS in which every third pixel is NaN, and one of KiDS."""

    def test_nan_is_no_data_and_stays_nan(self, survey_data, tmp_path):
        source = survey_data / "multi_survey_cutouts" / "PS1-test_z.fits"
        with fits.open(source) as hdus:
            image, header = hdus[0].data, hdus[0].header
        header["FILTER"], header["MAGZERO"], header["PHOTSYS"] = "J", 27.0, "AB"
        fits.writeto(tmp_path / "z.fits", image, header)
        mosaics = Mosaics.of(tmp_path)
        wcs = WCS(header).celestial
        bad = np.isnan(image)
        assert 0 < bad.sum() < bad.size
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        ra, dec = wcs.all_pix2world(x.ravel(), y.ravel(), 0)
        covered = mosaics.covering(ra, dec)["J"].reshape(image.shape)
        lacking = maximum_filter(
            np.pad(bad, REACH, constant_values=True), 2 * REACH + 1, mode="nearest"
        )
        assert np.array_equal(covered, ~lacking[REACH:-REACH, REACH:-REACH])
        # On its own grid a cutout is the image, but for pixels next to NaN: the kernel has 6 x 6.
        place = np.argwhere(covered)
        if len(place):
            at = tuple(float(v[place[0][0] * image.shape[1] + place[0][1]]) for v in (ra, dec))
            found = mosaics.cutout("J", wcs, image.shape, at=at)
            sound = ~np.isnan(found)
            assert not (sound & bad).any()
            assert found[sound] == pytest.approx(image[sound].astype(np.float32), rel=1e-4)

    def test_sound_pixels_come_through(self, survey_data, tmp_path):
        source = survey_data / "multi_survey_cutouts" / "KiDS-test_r.fits"
        with fits.open(source) as hdus:
            image, header = hdus[0].data, hdus[0].header
        header["FILTER"], header["PHOTSYS"] = "H", "AB"
        assert header["ZEROPNT"] == 0.0  # as the survey itself wrote it: fluxes of magnitude 0
        fits.writeto(tmp_path / "r.fits", image, header)
        with pytest.raises(
            DataIntegrityError, match=r"r\.fits.*15 to 50, got ZEROPNT 0; .*FLUXMAG0"
        ):
            Mosaics.of(tmp_path)
        # What such a file needs: the flux of magnitude 0 said, where it cannot be a mistake.
        del header["ZEROPNT"]
        header["FLUXMAG0"] = 1.0
        fits.writeto(tmp_path / "r.fits", image, header, overwrite=True)
        wcs = WCS(header).celestial
        rows, columns = image.shape
        at = tuple(float(v) for v in wcs.all_pix2world(columns / 2, rows / 2, 0))
        found = Mosaics.of(tmp_path).cutout("H", wcs, image.shape, at=at)
        inner = (slice(3, -3), slice(3, -3))
        scaled = image[inner] * 10 ** (0.4 * 27.0)
        assert np.abs(found[inner] - scaled).max() < 1e-3 * np.abs(scaled).max()


class TestHeaders:
    @pytest.mark.parametrize(
        ("cards", "name", "band"),
        [
            ({"FILTER": "u.MP9301"}, "x", "u*"), ({"FILTER": "u.MP9302"}, "x", "u"),
            ({"FILTER": "MegaCam-uS"}, "x", "u*"), ({"FILTER": "Ks"}, "field_J", "Ks"),
            ({"FILTER": "VIRCAM-H"}, "x", "H"), ({"ESO INS FILT1 NAME": "J "}, "x", "J"),
            ({"INSFLNAM": "u*"}, "x", "u*"), ({}, "UVISTA_Ks_15_12_10_skysub_015_dr3_v1", "Ks"),
            ({}, "CFHT-uS-9813-4,5", "u*"), ({}, "CLAUDS_u_9813", "u"), ({}, "VIDEO-H.XMM1", "H"),
            ({"FILTER": "Y"}, "x", ""), ({}, "UVISTA_Y_dr3", ""), ({"FILTER": "NB118"}, "x", ""),
            ({"FILTER1": "clear", "FILTER2": "H"}, "x", "H"), ({"FILTER": "OPEN"}, "x_J", "J"),
            ({"FILTER": "CLEAR-2", "INSFLNAM": "VIRCAM-J"}, "x", "J"), ({}, "k_J", "J"),
        ],
    )  # fmt: skip
    def test_bands(self, tmp_path, cards, name, band):
        assert band_of(cards, tmp_path / f"{name}.fits") == band

    @pytest.mark.parametrize(
        ("cards", "name"),
        [
            ({"FILTER": "V"}, "x_J"), ({}, "stack"), ({}, "J_H"), ({"FILTER": "U"}, "x"),
            ({"FILTER": "K"}, "x"), ({"FILTER": "j"}, "x"), ({}, "field_U"), ({}, "field_k"),
            ({"FILTER": "VIRCAM-u"}, "x"), ({"FILTER1": "clear"}, "stack"),
        ],
    )  # fmt: skip
    def test_what_is_not_understood_is_named(self, tmp_path, cards, name):
        with pytest.raises(DataIntegrityError, match=rf"{name}.fits.*FILTER"):
            band_of(cards, tmp_path / f"{name}.fits")

    @pytest.mark.parametrize(
        ("cards", "wanted"),
        [
            ({"MAGZERO": 30}, 30.0), ({"MAGZPT": 27.5, "PHOTSYS": "AB"}, 27.5),
            ({"PHOTZP": 25.75}, 25.75),
            ({"FLUXMAG0": 63095734448.0194}, 27.0), ({"MAGZERO": 27.0, "FLUXMAG0": 10**10.8}, 27.0),
            ({"MAGZERO": 23.9, "PHOTSYS": "AB"}, 23.9), ({"FLUXMAG0": 1.0}, 0.0),
            ({"MAGZPT": 27.5, "MAGSYS": "AB", "EXPTIME": 1.0}, 27.5),
        ],
    )  # fmt: skip
    def test_zero_points(self, tmp_path, cards, wanted):
        found = zero_point_of(cards, tmp_path / "x.fits", band="u")
        assert found == pytest.approx(wanted, abs=1e-9)

    @pytest.mark.parametrize(
        ("cards", "match"),
        [
            ({}, r"mosaic x\.fits: expected a zero point .* got none; .*MAGZERO"),
            ({"MAGZERO": 27.0, "PHOTZP": 30.0}, "MAGZERO 27, PHOTZP 30"),
            ({"MAGZERO": "thirty"}, "a number in MAGZERO"), ({"MAGZERO": -1.0}, "plausible"),
            ({"FLUXMAG0": -1.0}, "plausible"), ({"MAGZERO": 30.0, "PHOTSYS": "VEGA"}, "AB"),
            ({"MAGZERO": math.nan}, "a number"), ({"MAGZERO": 0.0}, "15 to 50, got MAGZERO 0"),
            ({"MAGZPT": 27.5}, "AB in PHOTSYS or MAGSYS.*may be of Vega, got nothing"),
            ({"MAGZPT": 27.5, "PHOTSYS": "AB", "EXPTIME": 30.0}, "per second, got EXPTIME 30"),
            ({"MAGZERO": 30.0, "MAGSYS": "VEGA"}, "AB magnitudes in MAGSYS"),
        ],
    )  # fmt: skip
    def test_one_that_is_not_sure_is_refused(self, tmp_path, cards, match):
        with pytest.raises(DataIntegrityError, match=match):
            zero_point_of(cards, tmp_path / "x.fits", band="u")

    @pytest.mark.parametrize("band", ["J", "H", "Ks"])
    def test_in_the_infrared_ab_has_to_be_said(self, tmp_path, band):
        with pytest.raises(DataIntegrityError, match="may be of Vega"):
            zero_point_of({"MAGZERO": 30.0}, tmp_path / "x.fits", band=band)
        said = {"MAGZERO": 30.0, "MAGSYS": "AB"}
        assert zero_point_of(said, tmp_path / "x.fits", band=band) == 30.0

    @pytest.mark.parametrize("unit", ["MJy/sr", "Jy", "mag", "erg/s", "s"])
    def test_what_is_no_count_is_refused(self, tmp_path, unit):
        with pytest.raises(DataIntegrityError, match=rf"x\.fits.*counts in BUNIT, got '{unit}'"):
            require_image({"BUNIT": unit}, tmp_path / "x.fits")

    @pytest.mark.parametrize("unit", ["", "ADU", "adu/s", "electrons/sec", "counts s-1", "e-/s"])
    def test_counts_are_counts(self, tmp_path, unit):
        require_image({"BUNIT": unit}, tmp_path / "x.fits")

    @pytest.mark.parametrize(
        "card",
        [("PRODCATG", "ANCILLARY.WEIGHTMAP"), ("IMATYPE", "WEIGHT"), ("IMAGETYP", "confmap")],
    )
    def test_what_says_that_it_is_no_image_is_none(self, tmp_path, card):
        with pytest.raises(DataIntegrityError, match=rf"{card[0]}.*{card[1]}.*x\.weight\.fits"):
            require_image(dict([card]), tmp_path / "x.fits")
        require_image({"PRODCATG": "SCIENCE.IMAGE", "IMATYPE": "object"}, tmp_path / "x.fits")


class TestFiles:
    def refused(self, folder, match):
        with pytest.raises(DataIntegrityError, match=match) as caught:
            Mosaics.of(folder)
        assert "\n" not in str(caught.value)

    def test_without_a_zero_point(self, tmp_path):
        write(tmp_path / "deep_Ks.fits", np.ones((9, 9)), projection(scale=0.2), MAGZERO=None)
        self.refused(tmp_path, r"deep_Ks\.fits.*zero point.*write it into MAGZERO")

    @pytest.mark.parametrize(
        ("content", "match"),
        [(b"", "an empty file"), (b"<html>no</html>", "HTML"), (b"SIMPLE  =", "cannot be read")],
    )
    def test_no_fits(self, tmp_path, content, match):
        (tmp_path / "a.fits").write_bytes(content)
        self.refused(tmp_path, match)

    def test_cut_short(self, tmp_path):
        path = write(tmp_path / "a.fits", np.ones((500, 600)), projection(scale=0.2))
        path.write_bytes(path.read_bytes()[:100_000])
        self.refused(tmp_path, r"1,2\d\d,\d{3} bytes \(600 x 500 pixels\), got 100,000: it is cut")

    def test_a_size_that_cannot_be(self, tmp_path):
        path = write(tmp_path / "a.fits", np.ones((4, 4)), projection(scale=0.2))
        header = fits.getheader(path)
        header["NAXIS1"] = header["NAXIS2"] = 2**31 - 1
        path.write_bytes(header.tostring().encode() + bytes(2880))
        self.refused(tmp_path, "cut short|cannot be read")

    def test_a_stack_of_planes(self, tmp_path):
        fits.writeto(tmp_path / "a_J.fits", np.ones((3, 9, 9), np.float32))
        self.refused(tmp_path, r"two axes, got 9x9x3 pixels")

    def test_several_images(self, tmp_path):
        parts = [fits.ImageHDU(np.ones((9, 9), np.float32)) for _ in range(2)]
        fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(tmp_path / "a_J.fits")
        self.refused(tmp_path, "one image, got 2")

    def test_integers(self, tmp_path):
        header = projection(scale=0.2).to_header()
        header["FILTER"], header["MAGZERO"], header["PHOTSYS"] = "J", 30.0, "AB"
        fits.writeto(tmp_path / "a.fits", np.ones((9, 9), np.int16), header)
        self.refused(tmp_path, "BITPIX -32")

    @pytest.mark.parametrize("types", [("RA---SIN", "DEC--SIN"), ("RA---TPV", "DEC--TPV")])
    def test_another_projection(self, tmp_path, types):
        path = write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2))
        fits.setval(path, "CTYPE1", value=types[0])
        fits.setval(path, "CTYPE2", value=types[1])
        self.refused(tmp_path, rf"got {types[0]}.*SWarp")

    def test_pixels_of_a_degree(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=3600.0))
        self.refused(tmp_path, "0.01 to 10 arcsec")

    @pytest.mark.parametrize(
        ("name", "tool"),
        [("a.fits.gz", "gunzip"), ("a.fits.fz", "funpack"), ("a.fits.bz2", "bunzip2")],
    )
    def test_compressed(self, tmp_path, name, tool):
        (tmp_path / name).write_bytes(b"\x1f\x8b")
        self.refused(tmp_path, rf"{name}.*{tool} it first")

    def test_compressed_within(self, tmp_path):
        image = fits.CompImageHDU(np.ones((50, 50), np.float32))
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / "a_J.fits")
        self.refused(tmp_path, "funpack it first")

    def test_a_weight_map_of_another_size(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2))
        fits.writeto(tmp_path / "a.weight.fits", np.ones((5, 9), np.float32))
        self.refused(tmp_path, "9 rows and 9 columns, got 5 rows")

    def test_a_weight_map_of_no_mosaic(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2))
        fits.writeto(tmp_path / "b.weight.fits", np.ones((9, 9), np.float32))
        self.refused(tmp_path, r"b\.weight\.fits.*x\.weight\.fits")

    def test_what_is_not_used_is_told(self, tmp_path, caplog):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2))
        fits.writeto(tmp_path / "a.rms.fits", np.ones((9, 9), np.float32))
        assert len(Mosaics.of(tmp_path).mosaics) == 1
        assert [r.getMessage().partition(" is not used")[0] for r in caplog.records] == [
            str(tmp_path / "a.rms.fits")
        ]

    @pytest.mark.parametrize(
        ("cards", "match"),
        [
            ({"RADESYS": "FK4", "EQUINOX": 1950.0}, "FK4"), ({"RADESYS": "GALACTIC"}, "GALACTIC"),
            ({"D2IMDIS1": "LOOKUP"}, "D2IM"), ({"PV1_1": 1.0}, "PV1_1"),
        ],
    )  # fmt: skip
    def test_a_projection_that_would_be_taken_for_another(self, tmp_path, cards, match):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2), **cards)
        self.refused(tmp_path, match)

    def test_pixels_that_are_not_square(self, tmp_path):
        wcs = projection(scale=0.2)
        wcs.wcs.cd = np.diag([-0.05, 0.8]) / 3600
        write(tmp_path / "a.fits", np.ones((9, 9)), wcs)
        self.refused(tmp_path, "square pixels")

    def test_other_keywords_that_begin_alike_do_not_matter(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2), PVERSION="1.0")
        assert len(Mosaics.of(tmp_path).mosaics) == 1

    def test_the_projection_is_that_of_the_image_alone(self, tmp_path):
        head = fits.PrimaryHDU()
        head.header.update(PC1_1=0.5, PC2_2=0.5, PC1_2=0.1, PC2_1=0.1, CDELT1=1.0, CRVAL1=10.0)
        head.header.update(FILTER="u", MAGZERO=30.0)
        wcs = projection(scale=0.2)
        header = wcs.to_header()
        image = fits.ImageHDU(np.ones((9, 9), np.float32), header)
        fits.HDUList([head, image]).writeto(tmp_path / "a.fits")
        found = open_mosaic(tmp_path / "a.fits")
        assert (found.band, found.zero_point) == ("u", 30.0)
        places = [np.array(w.all_pix2world([0, 8], [3, 8], 0)) for w in (found.wcs, wcs)]
        assert np.abs(places[0] - places[1]).max() < 1e-10

    def test_an_image_behind_an_empty_hdu_and_64_bits(self, tmp_path):
        header = projection(scale=0.2).to_header()
        head = fits.PrimaryHDU()
        head.header["FILTER"], head.header["FLUXMAG0"] = "uS", 10**10.8
        image = fits.ImageHDU(np.full((40, 40), 2.0), header)
        fits.HDUList([head, image]).writeto(tmp_path / "a.fits")
        mosaic = open_mosaic(tmp_path / "a.fits")
        assert (mosaic.band, mosaic.zero_point) == ("u*", pytest.approx(27.0))
        assert (mosaic.pixels.read(slice(3, 7), slice(2, 9)) == 2.0).all()

    def test_a_coadd_with_its_mask_and_variance(self, tmp_path):
        image = fits.ImageHDU(
            np.full((40, 40), 2.0, np.float32), projection(scale=0.168).to_header()
        )
        others = fits.ImageHDU(np.ones((40, 40), np.int32)), fits.ImageHDU(np.ones((40, 40), "f4"))
        for hdu, kind in zip((image, *others), ("IMAGE", "MASK", "VARIANCE"), strict=True):
            hdu.header["EXTTYPE"] = kind
        head = fits.PrimaryHDU()
        head.header["FILTER"], head.header["FLUXMAG0"] = "MegaCam-u", 10**10.8
        fits.HDUList([head, image, *others]).writeto(tmp_path / "calexp.fits")
        mosaic = open_mosaic(tmp_path / "calexp.fits")
        assert mosaic.band == "u"
        assert (mosaic.pixels.read(slice(0, 40), slice(0, 40)) == 2.0).all()

    def test_bands_that_are_not_used_are_left_out(self, tmp_path):
        write(tmp_path / "a.fits", np.ones((9, 9)), projection(scale=0.2), FILTER="Y", MAGZERO=None)
        write(tmp_path / "b.fits", np.ones((9, 9)), projection(scale=0.2))
        assert [m.name for m in Mosaics.of(tmp_path).mosaics] == ["b.fits"]


class TestNothingThere:
    @pytest.mark.parametrize("kind", ["none", "missing", "empty"])
    def test_it_says_what_to_download_and_where(self, tmp_path, kind):
        folder = {"none": None, "missing": tmp_path / "no", "empty": tmp_path}[kind]
        with pytest.raises(UsageError, match=r"CLAUDS.*clauds\.net.*UltraVISTA.*VIDEO") as caught:
            Mosaics.of(folder)
        assert "--mosaics" in str(caught.value)
        wanted = need(folder)
        assert not wanted.present
        assert "CLAUDS" in wanted.advice

    def test_a_folder_of_files_is_there(self, tmp_path):
        write(tmp_path / "b.fits", np.ones((9, 9)), projection(scale=0.2))
        assert need(tmp_path).present


def test_the_documentation_names_every_keyword():
    page = (Path(__file__).resolve().parents[2] / "docs" / "mosaics.md").read_text()
    for keyword in (
        *FILTER_KEYWORDS,
        *MAGNITUDE_KEYWORDS,
        *FLUX_KEYWORDS,
        *SYSTEM_KEYWORDS,
        *KIND_KEYWORDS,
    ):
        assert f"`{keyword}`" in page
    for one in EXPECTED:
        assert one.split(" ")[0] in page
