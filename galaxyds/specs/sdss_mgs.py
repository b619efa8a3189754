"""SDSS DR12 main galaxy sample with ugriz stacks, after Pasquet et al. (2019) and its re-use.

Section numbers are those of Ait-Ouahmed et al. (2023); P19 is Pasquet et al. (2019).  The query is
that of two public re-implementations of P19, which returned 547,199 rows.
"""

from __future__ import annotations

from dataclasses import replace

from galaxyds.pixels.flags import STACK_FLAGS
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
)
from galaxyds.specs import _multimodal as multimodal
from galaxyds.specs._sdss import (
    BANDS,
    DR12_CITATIONS,
    SDSS_DR12_LICENCE,
    SENTINEL,
    band_columns,
    object_columns,
)

COLUMNS = (
    *object_columns("za", "po"),
    Column(name="galactic_l", dtype="float64", unit="deg", archive="po.l",
           description="Galactic longitude"),
    Column(name="galactic_b", dtype="float64", unit="deg", archive="po.b",
           description="Galactic latitude"),
    Column(name="redshift", dtype="float32", archive="za.z", description="spectroscopic redshift"),
    Column(name="redshift_err", dtype="float32", archive="za.zErr",
           description="its error; values <= 0 mark a fit without a usable error"),
    multimodal.ebv_column("zi.e_bv_sfd", source="galSpecInfo.e_bv_sfd"),
    Column(name="zphot", dtype="float32", archive="zp.z", nullable=True, sentinel=SENTINEL,
           description="photometric redshift of the survey (nearest neighbours, Beck et al. 2016)"),
    Column(name="zphot_err", dtype="float32", archive="zp.zErr", nullable=True, sentinel=SENTINEL,
           description="its error; missing where the fit failed"),
    *band_columns("petro_mag", "po.petroMag", "mag", "Petrosian asinh magnitude, not dereddened"),
    *band_columns("petro_mag_err", "po.petroMagErr", "mag", "error of the Petrosian magnitude"),
    *band_columns("extinction", "po.extinction", "mag", "Galactic extinction with the coefficients "
                  "up to DR12: 5.155, 3.793, 2.751, 2.086, 1.479 times E(B-V)", sentinel=None),
    # Part of a sentinel is none: the difference is missing where the magnitude is.
    *(
        Column(name=f"dered_petro_{band}", dtype="float32", unit="mag", nullable=True,
               archive=f"NULLIF(po.petroMag_{band}, -9999) - po.extinction_{band}",
               description=f"Petrosian magnitude minus extinction, {band} band")
        for band in "ugriz"
    ),
    *band_columns("model_mag", "po.modelMag", "mag", "model magnitude, not dereddened"),
    Column(name="petro_rad_r", dtype="float32", unit="arcsec", archive="po.petroRad_r",
           nullable=True, sentinel=SENTINEL, description="Petrosian radius in r"),
    Column(name="petro_r50_r", dtype="float32", unit="arcsec", archive="po.petroR50_r",
           nullable=True, sentinel=SENTINEL, description="radius of half the Petrosian flux in r"),
    Column(name="primtarget", dtype="int32", archive="zi.primtarget",
           nullable=True, sentinel=-1.0,
           description="bits of the target selection of SDSS-I and -II"),
    Column(name="science_primary", dtype="int32", archive="za.sciencePrimary",
           nullable=True, sentinel=-1.0,
           description="1 = the survey's best spectrum of this place"),
    # What the cuts test; one value each in the dataset.
    Column(name="spec_class", dtype="string", archive="za.class", stored=False,
           description="spectroscopic class"),
    Column(name="z_warning", dtype="int32", archive="za.zWarning", stored=False,
           description="bit mask of the redshift fit, 0 = good"),
    Column(name="survey", dtype="string", archive="za.survey", stored=False,
           description="survey that took the spectrum"),
    Column(name="target_type", dtype="string", archive="za.targetType", stored=False,
           description="what the fiber was for"),
    Column(name="clean", dtype="int32", archive="po.clean", stored=False,
           description="1 = clean photometry"),
    Column(name="inside_mask", dtype="int32", archive="po.insideMask", stored=False,
           description="bit mask of the survey's masks, 0 = none"),
)  # fmt: skip

DEPTH = tuple(
    Column(name=f"depth_{band}", dtype="int16", nullable=True, sentinel=-1,
           description=f"frames that show the galaxy's position, {band} band")
    for band in "ugriz"
)  # fmt: skip

_QUERY = "P19's query, as re-implemented"
CUTS = (
    Cut(name="galaxy", sql="spec_class = 'GALAXY'", source=_QUERY,
        why="galaxies by their spectrum"),
    Cut(name="redshift-good", sql="z_warning = 0", source=_QUERY,
        why="no warning in the redshift fit"),
    Cut(name="legacy", sql="survey = 'sdss'", source=_QUERY,
        why="the main galaxy sample is a sample of SDSS-I and -II"),
    Cut(name="science-target", sql="target_type = 'SCIENCE'", source=_QUERY,
        why="neither sky nor calibration"),
    Cut(name="galaxy-target", sql="primtarget >= 64", source=_QUERY,
        why="from 64 on the bits of the galaxy target; higher bits of other targets pass as well"),
    Cut(name="clean-photometry", sql="clean = 1", source=_QUERY, why="avoid spoiled photometry"),
    Cut(name="unmasked", sql="inside_mask = 0", source=_QUERY,
        why="avoid bleeding, bright stars, trails and holes"),
    Cut(name="bright", sql="dered_petro_r IS NULL OR dered_petro_r <= 17.8",
        source="Sect. 2.1",
        why="the magnitude limit; -9999 passes it, as it did in the published query"),
    Cut(name="petrosian-measured", sql="petro_mag_r > 0", source="not in the query",
        why="removes the rows that passed the limit because their magnitude is -9999"),
    Cut(name="redshift-low", sql="redshift > 0", source=_QUERY, why="no stars in front"),
    Cut(name="redshift-high", sql="redshift <= 0.4", source="Sect. 2.1",
        why="hardly any galaxy that bright lies beyond"),
    Cut(name="footprint", source="Sect. 2.1",
        sql="galactic_b > 0 OR (dec >= -1.25 AND dec <= 1.25 AND (ra >= 300 OR ra <= 60))",
        why="northern galactic cap or Stripe 82: leaves the other southern stripes out"),
)  # fmt: skip

ERRATA = (
    Erratum(point="-9999", paper="petroMag_r - extinction_r <= 17.8",
            choice="petroMag_r > 0 added, as a cut of its own whose rows are counted"),
    Erratum(point="footprint", paper="'northern galactic cap and Stripe82', without limits; the "
            "query has no such condition", choice="b > 0, or |dec| <= 1.25 between RA 300 and 60"),
    Erratum(point="number of objects", paper="516,525; the query returns 547,199 rows before the "
            "footprint and z <= 0.4; the published cube has 659,857",
            choice="the cuts of the text, one by one"),
    Erratum(point="repeat spectra", paper="the query does not ask for sciencePrimary",
            choice="one per objID: sciencePrimary first, then the smallest positive error"),
    Erratum(point="stacking", paper="'resampled, stacked and clipped'; kernel, weights and "
            "threshold are not stated", choice="Lanczos-3, clipped mean, frames of all runs"),
    Erratum(point="clipping of two frames", paper="SWarp's clipped mean leaves no value where two "
            "frames depart from each other", choice="their weighted mean; the value nearest 0, as "
            "once here, took 3.1 % (seeing of 1.0 and 1.5 arcsec) to 12 % (1.1 and 1.8) of the "
            "flux within 6 arcsec of a galaxy of 400 nMgy and 1.5 arcsec; of three frames one of "
            "other seeing than two still takes up to 2.7 %"),
    Erratum(point="dereddened magnitude", paper="the table's dered_r is a model magnitude",
            choice="Petrosian minus extinction, with the coefficients of DR12 (2.751 in r); those "
            "since DR13 (2.285) select other objects"),
    *multimodal.ERRATA,
)  # fmt: skip

_BEST = ("science_primary <> 1", "redshift_err <= 0", "redshift_err", "spec_object_id")

SPEC = DatasetSpec(
    name="sdss-mgs",
    title="SDSS main galaxy sample (DR12), ugriz stacks",
    summary="Galaxies of SDSS DR12 with a dereddened Petrosian r of at most 17.8 and redshifts up "
    "to 0.4, in the northern galactic cap and Stripe 82; each with a 64x64 stack of every frame "
    "that shows it, in u, g, r, i, z, north up and centred on the galaxy, and its reddening.",
    version="1.0.0",
    release_notes={"1.0.0": "First version."},
    archive="sdss",
    data_release="DR12",
    tables="SpecObjAll AS za JOIN PhotoObjAll AS po ON po.objID = za.bestObjID "
    "JOIN Photoz AS zp ON zp.objID = za.bestObjID "
    "JOIN galSpecInfo AS zi ON zi.specObjID = za.specObjID",
    key="spec_object_id",
    object_id="object_id",
    bands=BANDS,
    columns=COLUMNS,
    configs=(
        Config(
            name="main", description="the sample of P19 within its footprint", cuts=CUTS,
            published=(
                PublishedCount(what="objects", count=516_525, source="Sect. 2.1", after="all"),
                PublishedCount(what="rows of the query without z <= 0.4 and the footprint",
                               count=547_199, source="two re-implementations"),
                PublishedCount(what="objects of the published cube, before its cuts",
                               count=659_857, source="the published files"),
            ),
        ),
    ),
    duplicates=(
        Deduplication(name="repeat-spectra", key="object_id", order=_BEST,
                      source="not stated", why="repeat spectra share a photometric object"),
        multimodal.same_position(*_BEST),
    ),
    split=replace(multimodal.SPLIT, key="spec_object_id"),
    pixels=Pixels(
        protocol="stacks", size=64, scale=0.396, reference_band="r",
        tile=("run", "camcol", "field"), off_centre=0.01, kernel="lanczos3", combine="clipped",
    ),
    flags=STACK_FLAGS,
    stages=("query", "cut", "deduplicate", "split", "coverage", "cutouts", "write", "verify"),
    paper=multimodal.PAPER,
    errata=ERRATA,
    citations=(*multimodal.PAPER_CITATIONS, *DR12_CITATIONS),
    licence=SDSS_DR12_LICENCE,
    measured=DEPTH,
    files=PublishedFiles(
        service="deepdip", record="60ef1e05be2b8ebb048d951d", layout="p19", pattern="sdss.npz",
        splits=(),
        names=(("redshift", "z"), ("ebv", "EBV"), ("spec_object_id", "specObjID"),
               ("object_id", "objID"), ("redshift_err", "zErr"), ("zphot_err", "dzphot"),
               *((f"petro_mag_err_{band}", f"petroMagErr_{band}") for band in "ugriz")),
        source="P19; deepdip.iap.fr",
        rows=659_857,
    ),
)  # fmt: skip

__all__ = ["SPEC"]
