"""GalaxiesML: HSC PDR2 galaxies with grizy images, redshifts and morphology (Do et al. 2024).

Section, appendix and table numbers in this module are that paper's.  "The authors' code" is what
they released beside it; where text and code disagree, the errata say which is followed.
"""

from __future__ import annotations

from galaxyds.pixels.flags import PADDING_FLAGS
from galaxyds.spec import (
    Column,
    Config,
    Cut,
    DatasetSpec,
    Deduplication,
    Erratum,
    Pixels,
    PublishedCount,
    PublishedFiles,
    Split,
)
from galaxyds.specs._hsc import (
    BANDS,
    FLAG_COLUMNS,
    FLAG_CUTS,
    HSC_LICENCE,
    MORPHOLOGY_COLUMNS,
    NAMES,
    PAPER_CITATIONS,
    RAW_COLUMNS,
    band_columns,
)

COLUMNS = (
    Column(name="object_id", dtype="int64", archive="object_id", description="HSC object id"),
    Column(name="tract", dtype="int32", archive="tract", nullable=True, sentinel=-1,
           description="tract of the coadd"),
    Column(name="skymap_id", dtype="int64", archive="skymap_id", nullable=True, sentinel=-1,
           description="tract and patch in one number"),
    Column(name="coord", dtype="string", archive="coord",
           description="coordinate that the archive's cone search takes"),
    Column(name="ra", dtype="float64", unit="deg", archive="ra", valid=(0, 360),
           description="right ascension, ICRS"),
    Column(name="dec", dtype="float64", unit="deg", archive="dec", valid=(-90, 90),
           description="declination, ICRS"),
    Column(name="redshift", dtype="float32", archive="specz_redshift", aliases=("specz_redshift",),
           valid=(0.01, 4), description="spectroscopic redshift"),
    Column(name="specz_redshift_err", dtype="float32", archive="specz_redshift_err", valid=(0, 1),
           description="its error; some surveys give arbitrary ones"),
    Column(name="specz_mag_i", dtype="float32", unit="mag", archive="specz_mag_i", nullable=True,
           valid=(0, 28),
           description="i magnitude in the spectroscopic survey"),
    Column(name="specz_name", dtype="string", archive="specz_name",
           description="name in the spectroscopic survey, several joined by commas"),
    Column(name="specz_ra", dtype="float64", unit="deg", archive="specz_ra", valid=(0, 360),
           description="right ascension in the spectroscopic survey"),
    Column(name="specz_dec", dtype="float64", unit="deg", archive="specz_dec", valid=(-90, 90),
           description="declination in the spectroscopic survey"),
    Column(name="specz_flag_homogeneous", dtype="bool", archive="specz_flag_homogeneous",
           description="whether the redshift counts as secure"),
    *band_columns("cmodel_mag", "mag", "cmodel magnitude, not dereddened", archive=True,
                  valid=(0, 50)),
    *band_columns("cmodel_magsigma", "mag", "error of the cmodel magnitude", archive=True),
    *FLAG_COLUMNS,
)  # fmt: skip

CUTS = (
    Cut(name="redshift-positive", sql="redshift > 0", source="App. A; Sect. 3.1",
        why="a measured redshift"),
    Cut(name="redshift-sentinel", sql="redshift < 9.999", source="App. A",
        why="9.9999 marks a failed redshift"),
    Cut(name="error-positive", sql="specz_redshift_err > 0", source="App. A; Sect. 3.1",
        why="a redshift error is known"),
    Cut(name="error-below-one", sql="specz_redshift_err < 1", source="App. A; Sect. 3.1",
        why="a redshift error that says something"),
    *FLAG_CUTS,
    Cut(name="secure", sql="specz_flag_homogeneous", source="Sect. 3.1", pushdown=False,
        why="secure redshifts only; the text asks for it, the SQL only selects the flag"),
    Cut(name="redshift-low", sql="redshift > 0.01", source="Sect. 3.2", pushdown=False,
        why="the sample covers redshift 0.01 to 4"),
    Cut(name="redshift-high", sql="redshift < 4", source="Sect. 3.2", pushdown=False,
        why="the sample covers redshift 0.01 to 4"),
    Cut(name="redshift-error", sql="specz_redshift_err < 0.005 * (1 + redshift)",
        source="Sect. 3.2; the authors' code", pushdown=False,
        why="well-measured redshifts; the text divides by 1 + z, the code multiplies"),
    *(
        Cut(name=f"magnitude-{band}", source="Sect. 3.2", pushdown=False,
            sql=f"{band}_cmodel_mag > 0 AND {band}_cmodel_mag < 50", why=f"detected in {band}")
        for band in NAMES
    ),
    Cut(name="magnitude-specz", sql="specz_mag_i > 0 AND specz_mag_i < 28",
        source="the authors' code, version 6", pushdown=False,
        why="with it the published 286,401 objects, without it 287,774"),
)  # fmt: skip

ERRATA = (
    Erratum(point="stages", paper="'6 major stages', five listed", choice="five"),
    Erratum(point="redshift sentinel", paper="text z != 9.9999, SQL specz_redshift < 9.999",
            choice="the SQL"),
    Erratum(point="secure redshifts", paper="required in the text, only selected in the SQL",
            choice="required, as a local cut"),
    Erratum(point="redshift error",
            paper="text sigma < 0.005/(1+z); the authors' code < 0.005*(1+z)", choice="the code"),
    Erratum(point="magnitude of the spectroscopic survey",
            paper="not in the text; the authors' version 6 asks for 0 < specz_mag_i < 28",
            choice="asked for: it gives the published count"),
    Erratum(point="one object id with several redshifts",
            paper="text: keep the first; the authors' code removes all", choice="the code"),
    Erratum(point="image size",
            paper="127x127; the service returns 120 or 121 pixels for 10 arcsec on each side",
            choice="zero-padded to 127, floor((127-n)/2) rows and columns before; the delivered "
                   "size and the padding are columns"),
    Erratum(point="64x64", paper="how they were cut is not said",
            choice="rows and columns 31 to 94 of the 127x127 image"),
    Erratum(point="image axes", paper="'N_gal x N_x x N_y' and '5x127x127'",
            choice="(N, 5, rows, columns), bands g, r, i, z, y"),
    Erratum(point="input of the morphology", paper="'the 127x127 pixel images were fit'",
            choice="the delivered cutouts: the published positions cluster at 60 to 61"),
    Erratum(point="petro_rad", paper="pixels",
            choice="SExtractor's PETRO_RADIUS without a unit, as published (multiples of 0.66); "
                   "petro_rad_pixels is in pixels"),
    Erratum(point="sersic_index",
            paper="'Source Extractor'; its configuration switches profile fits off and names no "
                  "point-spread function",
            choice="our own PSF-convolved fit"),
    Erratum(point="name of a column", paper="central_image_pol_15px_rad",
            choice="central_image_pop_15px_rad, as in the files"),
    Erratum(point="detection threshold", paper="text 3 sigma; the configuration 1.5, then 3",
            choice="3; 1.5 for the analysis"),
    Erratum(point="splits", paper="text 60/20/20; published files 5/7, 1/7, 1/7",
            choice="division 0 as the files, division 1 as the text"),
    Erratum(point="scatter", paper="Eq. 4 without (1 + z); the authors' code with it",
            choice="both, under different names"),
)  # fmt: skip

_PUBLISHED = (
    PublishedCount(what="objects", count=286_401, source="Sect. 3.2", after="all"),
    PublishedCount(what="rows from the archive", count=801_246, source="Sect. 3.1", after="query"),
    PublishedCount(what="rows of unique specz_name", count=289_518, source="the authors' code",
                   after="same-spectrum"),
    PublishedCount(what="rows of unique object_id", count=286_401, source="Sect. 3.2",
                   after="several-spectra"),
)  # fmt: skip

SPEC = DatasetSpec(
    name="hsc-galaxiesml",
    title="GalaxiesML: HSC PDR2 galaxies, grizy images, redshifts and morphology",
    summary="Galaxies of the HSC wide survey (PDR2) with secure spectroscopic redshifts between "
    "0.01 and 4, each with a coadd cutout in g, r, i, z, y, cmodel photometry, and shapes, "
    "neighbours and Sersic fits measured in every band.",
    version="1.0.0",
    release_notes={"1.0.0": "First version: configs 127 and 64."},
    archive="hsc",
    data_release="PDR2 wide",
    tables="pdr2_wide.forced LEFT JOIN pdr2_wide.forced2 USING (object_id) "
    "LEFT JOIN pdr2_wide.specz USING (object_id)",
    base="redshift IS NOT NULL",
    key="object_id",
    object_id="object_id",
    bands=BANDS,
    columns=COLUMNS,
    configs=(
        Config(name="127", description="127x127 pixels, the delivered cutout in zeros", cuts=CUTS,
               published=_PUBLISHED, size=127),
        Config(name="64", description="64x64 pixels, the middle of the 127x127 image", cuts=CUTS,
               published=_PUBLISHED, size=64, cropped_from="127"),
    ),
    duplicates=(
        Deduplication(name="same-spectrum", key="specz_name",
                      order=("object_id", "redshift", "specz_redshift_err", "specz_ra",
                             "specz_dec"),
                      why="one source measured several times: the first object id is kept",
                      source="Sect. 3.2"),
        Deduplication(name="several-spectra", key="object_id", order=(),
                      why="an object with several redshifts is ambiguous",
                      source="Sect. 3.2; the authors' code"),
    ),
    split=Split(fractions=((5 / 7, 1 / 7, 1 / 7), (0.6, 0.2, 0.2)),
                source="the published files; Sect. 3.5"),
    pixels=Pixels(protocol="cutouts", size=127, scale=0.168, reference_band="i",
                  tile=("tract", "skymap_id"), half_size=10.0, off_centre=1.0, psf_size=41),
    flags=PADDING_FLAGS,
    measured=(*RAW_COLUMNS, *MORPHOLOGY_COLUMNS),
    stages=("query", "cut", "deduplicate", "split", "cutouts", "morphology", "write", "verify"),
    paper="Do et al. 2024, GalaxiesML",
    errata=ERRATA,
    citations=PAPER_CITATIONS,
    licence=HSC_LICENCE,
    files=PublishedFiles(
        service="zenodo", record="11117528", layout="galaxiesml",
        pattern="5x{size}x{size}_{split}_with_morphology.hdf5",
        splits=(("train", "training", 204_573), ("validation", "validation", 40_914),
                ("test", "testing", 40_914)),
        names=(("redshift", "specz_redshift"),),
        source="doi:10.5281/zenodo.11117528",
    ),
)  # fmt: skip

__all__ = ["SPEC"]
