"""CFHTLS-Wide: galaxies with secure redshifts and u*griz images (Ait-Ouahmed et al. 2023).

Section numbers are that paper's.  Redshifts are put together out of the surveys of its Table 1
(docs/redshift_surveys.md), and matched with the photometric catalogue of data release T0007.
"""

from __future__ import annotations

from galaxyds.pixels.flags import PADDING_FLAGS
from galaxyds.spec import (
    Band,
    Citation,
    Column,
    Config,
    Cut,
    DatasetSpec,
    Erratum,
    Licence,
    Pixels,
    PublishedCount,
)
from galaxyds.specs import _multimodal as multimodal

SCALE = 0.186
BANDS = tuple(
    Band(name=name, unit="count", zero_point=30.0, wavelength=wavelength)
    for name, wavelength in (("u", 3750), ("g", 4870), ("r", 6250), ("i", 7700), ("z", 9000))
)
_NAMES = tuple(band.name for band in BANDS)


# Not read at VizieR itself or in the survey's own description.
_MASK_BITS = "1 star, 2 saturated star, 4 to 128 masked in z, y, i, r, g, u (meanings unverified)"


def _column(name: str, dtype: str, description: str, unit: str = "", **more: object) -> Column:
    """A column that the compiled catalogue calls by the same name."""
    return Column(name=name, dtype=dtype, unit=unit, description=description, archive=name,
                  **more)  # type: ignore[arg-type]  # fmt: skip


COLUMNS = (
    _column("object_id", "int64", "position of the photometric object in steps of 0.01 arcsec: "
            "floor(360000 ra) * 64800001 + floor(360000 (dec + 90))"),
    _column("ra", "float64", "right ascension in the photometric catalogue", "deg",
            valid=(0, 360)),
    _column("dec", "float64", "declination in the photometric catalogue", "deg",
            valid=(-90, 90)),
    _column("redshift", "float32", "spectroscopic redshift", valid=(0, 6)),
    _column("redshift_survey", "string", "survey that it was taken from"),
    _column("redshift_flag", "string", "that survey's own quality flag"),
    _column("redshift_confidence", "float32", "confidence on the scale of VVDS: 4 certain, 3 very "
            "probable", valid=(0, 4)),
    _column("sample", "string", "what the survey serves for: training or a test sample"),
    _column("spectrum_ra", "float64", "right ascension in the spectroscopic survey", "deg",
            valid=(0, 360)),
    _column("spectrum_dec", "float64", "declination in the spectroscopic survey", "deg",
            valid=(-90, 90)),
    _column("separation", "float32", "distance between spectrum and photometric object", "arcsec",
            nullable=True, valid=(0, 1)),
    _column("catalogue_name", "string", "name in the photometric catalogue of T0007"),
    *(_column(f"mag_{band}", "float32", f"{band} magnitude in a Kron-like aperture (AB, not "
              "dereddened)", "mag", nullable=True, valid=(0, 50)) for band in _NAMES),
    *(_column(f"mag_err_{band}", "float32", f"error of mag_{band}", "mag", nullable=True)
      for band in _NAMES),
    _column("extraction_flags", "int16", "flags of SExtractor", valid=(0, 255)),
    _column("mask_flags", "int16", f"flags of TERAPIX: {_MASK_BITS}", valid=(0, 255)),
    multimodal.EBV,
    _column("i_filter", "string", "filter of band i: i.MP9701, or i.MP9702 after that one broke"),
    _column("tile_ra", "int32", "tile that the cutout is from: HHMMSS of its middle"),
    _column("tile_dec", "int32", "tile that the cutout is from: signed DDMMSS of its middle"),
)  # fmt: skip

CUTS = (
    Cut(name="training-sample", sql="sample = 'training'", source="Sect. 2.4",
        why="surveys 15 to 17 of Table 1 test the networks of HSC-Deep only"),
    Cut(name="redshift-positive", sql="redshift > 0", source="Sect. 2.4", has_effect=False,
        why="no stars, no sentinels: the compilation has removed and counted them already"),
    Cut(name="redshift-high", sql="redshift <= 6", source="Table 1",
        why="no survey goes further: what lies beyond is a code"),
    Cut(name="photometry", sql="separation <= 1", source="not stated",
        why="an object of the photometric catalogue within an arcsecond of the spectrum"),
    Cut(name="magnitude", sql="mag_i > 0 AND mag_i < 25", source="Sect. 2.4",
        why="the bins of the sample end at i = 25"),
    Cut(name="in-tile", sql="tile_ra >= 0", source="Sect. 2.2",
        why="a tile of the survey that has all five bands, and room for the whole cutout; in the "
            "archive 15.5 arcsec more, by which a tile's name may be off its middle"),
)  # fmt: skip

ERRATA = (
    Erratum(point="pixel scale", paper="0.18 arcsec",
            choice="0.186, as the headers of the archive have it"),
    Erratum(point="secure redshifts", paper="'equivalent to flags 3 and 4 in VVDS or VIPERS'",
            choice="the last digit before the point is 3 or 4 (13, 14, 23, 24 too; never 9, 11, "
            "12, 21, 22); other surveys by their own flags, survey by survey in the documentation"),
    Erratum(point="duplicated redshifts", paper="the most secure, else one at random; no radius",
            choice="within an arcsecond the most confident one, else by a seeded hash of the "
            "position, the same in every build"),
    Erratum(point="match of spectra and photometry", paper="not stated",
            choice="the nearest object within an arcsecond; each object serves one spectrum"),
    Erratum(point="magnitude of the bins", paper="i, not further stated",
            choice="the Kron-like magnitude, not dereddened; i.MP9701 and i.MP9702 alike, told "
            "apart by i_filter"),
    Erratum(point="quasars", paper="not stated",
            choice="spectra that SDSS and BOSS class as quasars are left out: galaxies only"),
    Erratum(point="subtracted background", paper="'with subtracted background', without details",
            choice="the coadds as archived, whose background was subtracted when they were made"),
    *multimodal.ERRATA,
)  # fmt: skip

_CITATIONS = (
    *multimodal.PAPER_CITATIONS,
    Citation(
        key="hudelot2012", role="survey",
        text="Hudelot, P. et al. 2012, The CFHTLS Survey (T0007 release), VizieR catalogue II/317",
        bibtex="@misc{hudelot2012,\n"
        "  author = {Hudelot, P. and Cuillandre, J.-C. and Withington, K. and others},\n"
        "  title = {The CFHTLS Survey (T0007 release)},\n"
        "  howpublished = {VizieR Online Data Catalog II/317},\n  year = {2012}\n}",
    ),
    Citation(
        key="boulade2003", role="instrument",
        text="Boulade, O. et al. 2003, MegaCam: the new Canada-France-Hawaii Telescope wide-field "
        "imaging camera, Proc. SPIE 4841, 72",
        bibtex="@inproceedings{boulade2003,\n  author = {Boulade, O. and others},\n"
        "  title = {MegaCam: the new Canada-France-Hawaii Telescope wide-field imaging camera},\n"
        "  booktitle = {Proc. SPIE},\n  volume = {4841},\n  pages = {72},\n  year = {2003}\n}",
    ),
)  # fmt: skip

_LICENCE = Licence(
    name="CFHTLS public data, free to use with acknowledgement",
    spdx="LicenseRef-CFHTLS-public-data",
    redistribution="The final release of the survey is public. Every spectroscopic survey has "
    "terms of its own, and what was given in private (a team's own catalogue) is not yours to "
    "pass on: look at redshift_survey before you publish a copy.",
    acknowledgement="Based on observations obtained with MegaPrime/MegaCam at the "
    "Canada-France-Hawaii Telescope, and on data products of the CFHT Legacy Survey made at "
    "TERAPIX and distributed by the Canadian Astronomy Data Centre. The full wording that is asked "
    "for stands on the survey's pages; the spectroscopic surveys ask for their own.",
    url="https://www.cfht.hawaii.edu/Science/CFHTLS/",
)

SPEC = DatasetSpec(
    name="cfhtls-wide",
    title="CFHTLS-Wide (T0007): galaxies with secure redshifts, u*griz images",
    summary="Galaxies of the four patches of the CFHT Legacy Survey Wide with secure spectroscopic "
    "redshifts out of fourteen surveys, brighter than i = 25; each with the 64x64 pixels of the "
    "T0007 coadds around it in u*, g, r, i, z, as they are, magnitudes and reddening.",
    version="1.0.0",
    release_notes={"1.0.0": "First version."},
    archive="cfhtls",
    data_release="T0007",
    tables="objects",
    key="object_id",
    object_id="object_id",
    bands=BANDS,
    columns=COLUMNS,
    configs=(
        Config(
            name="main", description="secure redshifts brighter than i = 25", cuts=CUTS,
            published=(
                PublishedCount(what="objects (about)", count=108_500, source="Sect. 2.4",
                               after="all"),
            ),
        ),
    ),
    duplicates=(
        multimodal.same_position("-redshift_confidence", "separation", "object_id"),
    ),
    split=multimodal.SPLIT,
    pixels=Pixels(protocol="cutouts", size=64, scale=SCALE, reference_band="i",
                  tile=("tile_ra", "tile_dec"), half_size=32 * SCALE, off_centre=0.5),
    flags=PADDING_FLAGS,
    stages=("query", "cut", "deduplicate", "split", "cutouts", "write", "verify"),
    paper=multimodal.PAPER,
    errata=ERRATA,
    citations=_CITATIONS,
    licence=_LICENCE,
)  # fmt: skip

__all__ = ["SPEC"]
