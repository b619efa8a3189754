"""SDSS DR17 quasars with ugriz images, after Zhang et al. (2023, ICML ML4Astro).

Section, appendix and table numbers in this module are that paper's.  Appendix A holds the WHERE
clause of the *baseline* sample and Appendix B that of the *extended* one: their titles are swapped
against Sect. 2.
"""

from __future__ import annotations

from galaxyds.pixels.flags import FLAGS
from galaxyds.spec import (
    Column,
    Config,
    Cut,
    DatasetSpec,
    Deduplication,
    Erratum,
    Pixels,
    PublishedCount,
    Split,
)
from galaxyds.specs._sdss import (
    BANDS,
    OBJECT_COLUMNS,
    PAPER_CITATIONS,
    SDSS_DR17_LICENCE,
    SENTINEL,
    band_columns,
)

COLUMNS = (
    *OBJECT_COLUMNS,
    Column(name="spec_class", dtype="string", archive="a.class",
           description="spectroscopic class: GALAXY, QSO or STAR"),
    Column(name="redshift", dtype="float32", archive="a.z", description="spectroscopic redshift"),
    Column(name="redshift_err", dtype="float32", archive="a.zErr",
           description="its error; values <= 0 mark a fit without a usable error"),
    Column(name="z_warning", dtype="int32", archive="a.zWarning",
           description="bit mask of the redshift fit, 0 = good"),
    *band_columns("psf_mag", "b.psfMag", "mag", "PSF asinh magnitude, not dereddened"),
    *band_columns("psf_mag_err", "b.psfMagErr", "mag", "error of the PSF magnitude"),
    *band_columns("extinction", "b.extinction", "mag",
                  "Galactic extinction (SFD map, Schlafly & Finkbeiner 2011 coefficients)"),
    *band_columns("dered", "b.dered", "mag", "model magnitude minus extinction"),
    *band_columns("psf_dered", "", "mag", "PSF magnitude minus extinction (Sect. 2.1)",
                  derived="psf_mag_{band} - extinction_{band}"),
    *(
        Column(name=f"color_{blue}{red}", dtype="float32", unit="mag", nullable=True,
               derived=f"psf_mag_{blue} - extinction_{blue} - psf_mag_{red} + extinction_{red}",
               description=f"dereddened PSF colour {blue}-{red} (Sect. 2.3)")
        for blue, red in ("ug", "gr", "ri", "iz")
    ),
    Column(name="petro_rad_r", dtype="float32", unit="arcsec", archive="b.petroRad_r",
           nullable=True, sentinel=SENTINEL, description="Petrosian radius in r"),
    *band_columns("sn_median", "a.snMedian", "",
                  "median signal-to-noise of the spectrum within the band", sentinel=None),
    Column(name="photo_flags", dtype="int64", archive="b.flags",
           description="photometric flags of the object"),
    Column(name="clean", dtype="int32", archive="b.clean", description="1 = clean photometry"),
)  # fmt: skip

_COMMON = (
    Cut(name="quasar", sql="spec_class = 'QSO'", source="App. A and B",
        why="spectroscopically confirmed quasars only"),
    Cut(name="redshift-low", sql="redshift >= 1", source="App. A and B; Sect. 2.1",
        why="the sample covers redshift 1 to 5"),
    Cut(name="redshift-high", sql="redshift < 5", source="App. A and B; Sect. 2.1",
        why="the sample covers redshift 1 to 5; the SQL excludes 5 itself"),
    Cut(name="redshift-error", sql="redshift_err < 0.001", source="App. A and B; Sect. 2.1",
        why="well-measured redshifts; the text writes <=, the SQL <"),
    Cut(name="bright-limit", sql="psf_mag_g >= 18", source="App. A and B; Sect. 2.1",
        why="exclude quasars that are too bright"),
    Cut(name="faint-limit", sql="psf_mag_g <= 22", source="App. A and B; Sect. 2.1",
        why="exclude quasars that are too faint"),
    Cut(name="compact", sql="petro_rad_r < 5 OR petro_rad_r IS NULL", source="App. A and B",
        why="avoid AGN with resolved hosts; the sentinel -9999 passes the paper's '< 5' and is "
            "kept as the paper did"),
)  # fmt: skip

_EXTENDED = (
    *_COMMON,
    Cut(name="flags-known", sql="photo_flags IS NOT NULL", source="App. B", has_effect=False,
        why="in the paper's SQL; the archive's column is never NULL"),
    Cut(name="redshift-good", sql="z_warning = 0", source="App. B; Sect. 2.1",
        why="no warning in the redshift fit"),
    Cut(name="clean-photometry", sql="clean = 1", source="App. B; Sect. 2.1",
        why="avoid contaminated photometry"),
)  # fmt: skip

_BASELINE = (
    *_COMMON,
    *(
        Cut(name=f"noise-{band}", sql=f"sn_median_{band} < 10", source="App. A; Sect. 2.2",
            why=f"Hong et al. (2023) keep spectra of low signal-to-noise in {band}")
        for band in "ugriz"
    ),
)  # fmt: skip

ERRATA = (
    Erratum(point="which SQL is which",
            paper="Sect. 2 gives the S/N cuts to the baseline sample and zWarning, clean to the "
                  "extended one; the appendices' titles say the reverse",
            choice="follow Sect. 2: extended = Appendix B, baseline = Appendix A"),
    Erratum(point="SQL of Appendix A", paper="two conjunctions are missing between the S/N cuts",
            choice="insert AND"),
    Erratum(point="redshift error", paper="text <= 0.001, SQL < 0.001", choice="the SQL"),
    Erratum(point="redshift range", paper="text 1 <= z <= 5, SQL z < 5", choice="the SQL"),
    Erratum(point="INTO clause", paper="names a DR18 table although the context is DR17",
            choice="dropped; context DR17"),
    Erratum(point="duplicates",
            paper="rows of equal objID removed, the smallest zErr kept; 608,451 'selected' before, "
                  "465,292 after, without saying which cuts lie between",
            choice="smallest positive zErr per objID, ties by specObjID; non-positive zErr last"),
    Erratum(point="petroRad_r", paper="the text gives no bound; -9999 passes the SQL's '< 5'",
            choice="keep rows without a Petrosian radius"),
    Erratum(point="b.flags is not null", paper="always true", choice="kept, marked as no effect"),
    Erratum(point="band order", paper="once 'u, g, i, r, z'", choice="u, g, r, i, z"),
    Erratum(point="colours 'by interpolating'", paper="Sect. 2.3",
            choice="differences of dereddened magnitudes"),
    Erratum(point="PSF or model magnitudes",
            paper="Sect. 2.1 chooses PSF magnitudes, Sect. 2.3 dered_*, which are model magnitudes",
            choice="psf_dered_* (default features) and dered_* are both stored"),
    Erratum(point="RMSE", paper="abstract .1031 and .0861, Table 1 .1010 and .0865",
            choice="compare with Table 1, quote both"),
)  # fmt: skip

SPEC = DatasetSpec(
    name="sdss-qso",
    title="SDSS DR17 quasars, ugriz images and PSF photometry",
    summary="Spectroscopic quasars of SDSS DR17 at redshift 1 to 5, each with a 64x64 cutout in "
    "u, g, r, i, z from the corrected frames, resampled to the r-band pixel grid, and PSF and "
    "model photometry with extinction.",
    version="1.0.0",
    release_notes={"1.0.0": "First version: configs extended and baseline."},
    archive="sdss",
    data_release="DR17",
    tables="SpecObjAll AS a JOIN PhotoObjAll AS b ON a.bestObjID = b.objID",
    key="spec_object_id",
    object_id="object_id",
    bands=BANDS,
    columns=COLUMNS,
    configs=(
        Config(
            name="extended",
            description="zWarning = 0 and clean = 1 (Appendix B); the paper's own sample",
            cuts=_EXTENDED,
            published=(
                PublishedCount(what="after duplicates", count=465_292, source="Sect. 2.1",
                               after="all"),
                PublishedCount(what="'selected' from the archive", count=608_451,
                               source="Sect. 2.1; before duplicates, perhaps before quality cuts"),
            ),
        ),
        Config(
            name="baseline",
            description="S/N below 10 in all bands (Appendix A); the sample of Hong et al. (2023)",
            cuts=_BASELINE,
            published=(
                PublishedCount(what="all", count=415_930, source="Sect. 2.2", after="all"),
            ),
        ),
    ),
    duplicates=(
        Deduplication(
            name="repeat-spectra",
            key="object_id",
            order=("redshift_err <= 0", "redshift_err", "spec_object_id"),
            why="repeat spectra share a photometric object: the smallest positive error wins",
            source="Sect. 2.1",
        ),
    ),
    split=Split(fractions=((0.6, 0.2, 0.2),) * 5, source="Sect. 2.1"),
    pixels=Pixels(
        protocol="frames", size=64, scale=0.396, reference_band="r",
        tile=("run", "camcol", "field"), row="row_r", column="col_r", tile_rows=1489,
    ),
    flags=FLAGS,
    stages=("query", "cut", "deduplicate", "split", "cutouts", "write", "verify"),
    paper="Zhang et al. 2023, ICML 2023 Workshop on Machine Learning for Astrophysics",
    errata=ERRATA,
    citations=PAPER_CITATIONS,
    licence=SDSS_DR17_LICENCE,
)  # fmt: skip

__all__ = ["SPEC"]
