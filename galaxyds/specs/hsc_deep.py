"""HSC-Deep with CLAUDS u and near-infrared bands (Ait-Ouahmed et al. 2023).

Section numbers are that paper's.  Redshifts are put together out of the surveys of its Table 1
(docs/redshift_surveys.md), and matched with the catalogue of HSC's Deep and UltraDeep layers; u and
J, H, Ks come from mosaics that whoever builds has downloaded.
"""

from __future__ import annotations

from dataclasses import replace

from galaxyds.pixels.flags import PADDING_FLAGS
from galaxyds.spec import (
    Band,
    Column,
    Config,
    Cut,
    DatasetSpec,
    Erratum,
    ExtraSplit,
    Pixels,
    PublishedCount,
)
from galaxyds.specs import _multimodal as multimodal
from galaxyds.specs._deep import CITATIONS, LICENCE
from galaxyds.specs._hsc import BANDS as HSC_BANDS
from galaxyds.specs._hsc import NAMES as HSC_NAMES
from galaxyds.specs._hsc import band_columns

SCALE, SIZE = 0.168, 64
U = Band(name="u", unit="count", zero_point=27.0, wavelength=3743.0)
NIR = tuple(
    Band(name=name, unit="count", zero_point=27.0, wavelength=wavelength, optional=True)
    for name, wavelength in (("J", 12520.0), ("H", 16450.0), ("Ks", 21470.0))
)
OPTICAL = ("u", *HSC_NAMES)


def _column(name: str, dtype: str, description: str, unit: str = "", **more: object) -> Column:
    """A column that the compiled catalogue calls by the same name."""
    return Column(name=name, dtype=dtype, unit=unit, description=description, archive=name,
                  **more)  # type: ignore[arg-type]  # fmt: skip


COLUMNS = (
    _column("object_id", "int64", "HSC object id; negative where there is no photometry"),
    _column("ra", "float64", "right ascension in the catalogue of HSC", "deg", valid=(0, 360)),
    _column("dec", "float64", "declination in the catalogue of HSC", "deg", valid=(-90, 90)),
    _column("tract", "int32", "tract of the coadd", valid=(0, 99_999)),
    _column("patch", "int32", "patch of the coadd, 100 x + y", valid=(0, 808)),
    _column("redshift", "float32", "redshift; spectroscopic in the training sample", valid=(0, 6)),
    _column("redshift_survey", "string", "survey that it was taken from"),
    _column("redshift_flag", "string", "that survey's own quality flag", nullable=True),
    _column("redshift_confidence", "float32", "confidence on the scale of VVDS: 4 certain, 3 very "
            "probable, less for prisms, grisms and photometry", valid=(0, 4)),
    _column("sample", "string", "training, test_3dhst, test_primus or test_cosmos2020"),
    _column("spectrum_ra", "float64", "right ascension in the redshift survey", "deg",
            valid=(0, 360)),
    _column("spectrum_dec", "float64", "declination in the redshift survey", "deg",
            valid=(-90, 90)),
    _column("separation", "float32", "distance between redshift and HSC object", "arcsec",
            nullable=True, valid=(0, 1)),
    *band_columns("cmodel_mag", "mag", "cmodel magnitude, not dereddened", archive=True,
                  valid=(0, 50)),
    *band_columns("cmodel_magsigma", "mag", "error of the cmodel magnitude", archive=True),
    _column("hsc_coverage", "int16", "HSC bands with exposures at the object: 1 g, 2 r, 4 i, 8 z, "
            "16 y", valid=(0, 31)),
    _column("u_band", "string", "filter of band u: u* (MegaCam MP9301), else u (MP9302)"),
    _column("nir_coverage", "int16", "mosaics with data at the object: 1 J, 2 H, 4 Ks; 0 where "
            "none was given", valid=(0, 7)),
    multimodal.EBV,
)  # fmt: skip

_CUTS = (
    Cut(name="photometry", sql="separation <= 1", source="not stated",
        why="an object of the HSC catalogue within an arcsecond of the redshift"),
    Cut(name="redshift-positive", sql="redshift > 0", source="Sect. 2.4", has_effect=False,
        why="no stars, no sentinels: the compilation has removed and counted them already"),
    Cut(name="redshift-high", sql="redshift <= 6", source="Table 1",
        why="no survey goes further: what lies beyond is a code"),
    Cut(name="primus-bright", source="Sect. 2.4",
        sql="sample <> 'test_primus' OR (i_cmodel_mag <= 22.5 AND redshift <= 0.9)",
        why="the sample from PRIMUS is bright and near"),
    Cut(name="hsc-bands", sql="hsc_coverage = 31", source="Sect. 2.4",
        why="at least six optical bands: exposures in g, r, i, z and y"),
    Cut(name="u-band", sql="u_band <> 'none'", source="Sect. 2.3; Sect. 2.4",
        why="at least six optical bands: a mosaic of u* or u has data"),
)  # fmt: skip
_INFRARED = Cut(
    name="infrared", sql="nir_coverage > 0", source="Sect. 2.3; Sect. 2.4",
    why="at least one of J, H and Ks: the others are padded with zeros",
)  # fmt: skip

_TESTS = tuple(
    ExtraSplit(name=name, sql=f"sample = '{name}'", why=why, source="Sect. 2.4")
    for name, why in (
        ("test_3dhst", "redshifts of low resolution (grism), for testing only"),
        ("test_primus", "redshifts of low resolution (prism), for testing only"),
        ("test_cosmos2020", "photometric redshifts in 30 bands, for testing only"),
    )
)

_SAMPLES = (
    PublishedCount(
        what="objects of 3D-HST in the test sample",
        count=4_150,
        source="Sect. 2.4",
        after="test_3dhst",
    ),
    PublishedCount(
        what="objects of PRIMUS in the test sample",
        count=19_500,
        source="Sect. 2.4",
        after="test_primus",
    ),
)
CONFIGS = (
    Config(
        name="6band",
        description="u, g, r, i, z, y",
        cuts=_CUTS,
        published=(
            PublishedCount(what="redshifts with six optical bands, about", count=51_000,
                           source="Sect. 2.4", after="training"),
            *_SAMPLES,
        ),
        bands=OPTICAL,
    ),
    Config(
        name="9band",
        description="u, g, r, i, z, y, and J, H, Ks of which at least one has data",
        cuts=(*_CUTS, _INFRARED),
        published=(
            PublishedCount(what="redshifts with near-infrared bands, about", count=37_400,
                           source="Sect. 2.4", after="training"),
            *_SAMPLES,
        ),
    ),
)  # fmt: skip

ERRATA = (
    Erratum(point="near-infrared bands that are missing", paper="padded with zeros",
            choice="zeros, and a bit of band_mask per band that tells them from data; 9band asks "
            "for at least one of the three"),
    Erratum(point="a band that has data in a part of the cutout", paper="not stated",
            choice="a band counts where its mosaic has data in all pixels within five of the "
            "object; pixels without data elsewhere are NaN, and cutout_flags says so"),
    Erratum(point="zero points", paper="not stated",
            choice="every band is scaled to 27.0, that of HSC; a mosaic that does not say its own "
            "is refused"),
    Erratum(point="projection of the near infrared", paper="SWarp, without its settings",
            choice="Lanczos-3, flux conserving, onto the pixels of the HSC coadd; u, too, where "
            "its mosaic has another grid"),
    Erratum(point="subtracted background", paper="'with subtracted background', without details",
            choice="coadds and mosaics as archived, whose background was subtracted when they "
            "were made; nothing is subtracted here"),
    Erratum(point="scatter of the four photometric redshifts of COSMOS2020",
            paper="sigma(z), of a sample or a population not stated",
            choice="of a population (divided by four)"),
    Erratum(point="quasars", paper="not stated",
            choice="spectra that SDSS and BOSS class as quasars are left out: galaxies only"),
    Erratum(point="secure redshifts", paper="'equivalent to flags 3 and 4 in VVDS or VIPERS'",
            choice="the last digit before the point is 3 or 4 (13, 14, 23, 24 too; never 9, 11, "
            "12, 21, 22); other surveys by their own flags, survey by survey in the documentation"),
    Erratum(point="duplicated redshifts", paper="the most secure, else one at random; no radius",
            choice="within an arcsecond the most confident one, else by a seeded hash of the "
            "position; one to learn from always before one to test with"),
    Erratum(point="match of redshifts and photometry", paper="not stated",
            choice="the nearest primary object of HSC within an arcsecond; each object serves one "
            "redshift"),
    Erratum(point="magnitude of the limits", paper="i, not further stated",
            choice="cmodel, not dereddened"),
    *multimodal.ERRATA,
)  # fmt: skip

SPEC = DatasetSpec(
    name="hsc-deep",
    title="HSC-Deep: galaxies with redshifts, ugrizy images, and J, H, Ks where there are any",
    summary="Galaxies of the four fields of HSC-Deep with secure redshifts out of fourteen "
    "surveys, and three test samples from 3D-HST, PRIMUS and COSMOS2020; each with 64x64 pixels in "
    "u, g, r, i, z, y (6band), and J, H, Ks where mosaics show it (9band), all on the pixels of "
    "HSC and the zero point 27.0, magnitudes and reddening. u and the near infrared come from "
    "mosaics of CLAUDS, UltraVISTA and VIDEO that whoever builds has downloaded (--mosaics).",
    version="1.0.0",
    release_notes={"1.0.0": "First version."},
    archive="hsc-deep",
    data_release="PDR2",
    tables="objects",
    key="object_id",
    object_id="object_id",
    bands=(U, *HSC_BANDS, *NIR),
    columns=COLUMNS,
    configs=CONFIGS,
    duplicates=(
        multimodal.same_position(
            "sample <> 'training'", "-redshift_confidence", "separation", "object_id"
        ),
    ),
    split=replace(multimodal.SPLIT, extra=_TESTS),
    pixels=Pixels(
        protocol="cutouts",
        size=SIZE,
        scale=SCALE,
        reference_band="i",
        tile=("tract", "patch"),
        half_size=SIZE * SCALE / 2,
        off_centre=0.5,
    ),
    flags=PADDING_FLAGS,
    stages=("query", "cut", "deduplicate", "split", "cutouts", "write", "verify"),
    paper=multimodal.PAPER,
    errata=ERRATA,
    citations=CITATIONS,
    licence=LICENCE,
)
