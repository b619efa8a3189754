"""Real photometric tables, declared: columns, codes, selection, identity, divisions."""

from __future__ import annotations

from dataclasses import dataclass

from galaxyds.spec import Cut, Split

DIVISIONS = Split(
    fractions=((0.6, 0.2, 0.2),) * 5,
    key="division_key",
    source="as sdss-qso (Zhang et al. 2023, Sect. 2.1)",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """How the id of a row comes about.

    Attributes
    ----------
    columns : tuple of str
        Whole numbers that are packed; without any, the id is the row's number in the file, from 0.
    bits, offsets : tuple of int
        Width of each part, the highest first, and what is subtracted from it before.
    why : str
        Why so.
    """

    columns: tuple[str, ...] = ()
    bits: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotometricTable:
    """A table of magnitudes and spectroscopic redshifts that anyone can download.

    The user brings the file; it is no part of galaxyds.

    Attributes
    ----------
    name, version, title, about : str
        Kebab-case; of this declaration; what it is; what to know before using it.
    source : str
        Whom to cite.
    sha256 : str
        Of the file that the numbers in ``about`` hold for.
    filters : tuple of str
        In order.
    magnitudes, errors : tuple of tuple of str
        Per filter its column, and columns that stand in where that one is missing; ``errors`` may
        be empty.  Values beyond 90 in size are codes for a missing one.
    texts : tuple of (str, str)
        Further columns as (name in ``cuts``, name in the file).
    cuts : tuple of Cut
        Selection over ``redshift``, ``mag_FILTER``, ``err_FILTER`` and ``texts``.
    identity : Identity
        Of a row.
    alike : tuple of str
        Columns that are equal, digit for digit, in rows of one galaxy: such rows share a split.
    redshift_range : tuple of float
        Lowest and highest redshift of the cuts.
    """

    name: str
    version: str
    title: str
    about: str
    source: str
    sha256: str
    filters: tuple[str, ...]
    magnitudes: tuple[tuple[str, ...], ...]
    errors: tuple[tuple[str, ...], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    cuts: tuple[Cut, ...]
    identity: Identity
    alike: tuple[str, ...]
    redshift_range: tuple[float, float]

    def columns(self) -> tuple[str, ...]:
        """Names of all columns of the file that are read."""
        photometry = (name for names in (*self.magnitudes, *self.errors) for name in names)
        texts = (name for _, name in self.texts)
        return ("redshift", *photometry, *texts, *self.identity.columns, *self.alike)


SDSS_DR17_QUASARS = PhotometricTable(
    name="sdss-dr17-quasars",
    version="1.0.0",
    title="SDSS DR17 quasars, magnitudes in u, g, r, i, z",
    about="The rows of class QSO with 1 <= z <= 5 in a list of stars, galaxies and quasars with "
    "spectra of SDSS DR17 that is passed around as star_classification.csv; of its first 20,000 "
    "rows 3,034.  Model magnitudes, not dereddened; no errors and no extinctions.  Chosen for a "
    "spectrum, so that counts and redshifts are not those of the sky.  A spreadsheet has rounded "
    "obj_ID and spec_obj_ID to 6 digits, some to 3: they are ids no more, and not read.",
    source="Abdurro'uf et al. 2022, ApJS 259, 35 (SDSS DR17)",
    sha256="bc48ac13c380f664c7cda5a547a098a399c98a1bc8d7f81807c4b378c98365ff",
    filters=tuple("ugriz"),
    magnitudes=tuple((band,) for band in "ugriz"),
    texts=(("spec_class", "class"),),
    cuts=(
        Cut(name="quasar", sql="spec_class = 'QSO'", source="as sdss-qso",
            why="spectroscopically confirmed quasars only"),
        Cut(name="redshift-low", sql="redshift >= 1", source="as sdss-qso",
            why="the range of sdss-qso"),
        Cut(name="redshift-high", sql="redshift <= 5", source="as sdss-qso",
            why="the range of sdss-qso"),
    ),
    identity=Identity(
        columns=("plate", "fiber_ID", "MJD"), bits=(14, 12, 14), offsets=(0, 0, 50_000),
        why="plate * 2^26 + fiber_ID * 2^14 + (MJD - 50000), the upper 40 bits of specObjID, exact "
        "and unique",
    ),
    # Spectra of one object: the same photometry stands in the row of each.
    alike=tuple("ugriz"),
    redshift_range=(1.0, 5.0),
)  # fmt: skip

DEEP2_3DHST_CFHTLS = PhotometricTable(
    name="deep2-3dhst-cfhtls",
    version="1.0.0",
    title="DEEP2/3 and 3D-HST redshifts with CFHTLS u, g, r, i, z and Subaru y magnitudes",
    about="Galaxies of the Extended Groth Strip, 15,878 rows, of which 15,650 have photometry "
    "(1,621 of them with less precise grism redshifts of 3D-HST).  Magnitudes in matched "
    "apertures with errors, dereddened; y is not there for half of them.  Of the two i filters "
    "of MegaCam, i is taken, which is measured wherever i2 is; i2 would stand in for it.  The file "
    "has neither ids nor positions.",
    source="Zhou et al. 2019, MNRAS 488, 4565",
    sha256="2831ea5d9e1f44b254e2c81a28990d06c7a12bbadb3080311f8aaba275c411ac",
    filters=tuple("ugrizy"),
    magnitudes=(("u",), ("g",), ("r",), ("i", "i2"), ("z",), ("y",)),
    errors=(("uerr",), ("gerr",), ("rerr",), ("ierr", "i2err"), ("zerr",), ("yerr",)),
    cuts=(
        Cut(name="redshift-low", sql="redshift > 0", source="not stated", has_effect=False,
            why="galaxies; the file has removed stars and failures already"),
        Cut(name="redshift-high", sql="redshift <= 4", source="not stated", has_effect=False,
            why="none lies beyond 3.4: more would be a code"),
        Cut(name="photometry", sql="mag_i IS NOT NULL", source="not stated",
            why="228 rows have redshifts but no photometry in g, r, i"),
    ),
    identity=Identity(why="the row's number in this very file, from 0: it has no ids"),
    # Three galaxies stand in both surveys.  Their magnitudes were dereddened at the position of
    # each survey and differ from the fifth decimal on; their errors are equal to the last bit.
    alike=("uerr", "gerr", "rerr", "ierr", "zerr"),
    redshift_range=(0.0, 4.0),
)  # fmt: skip

TABLES: dict[str, PhotometricTable] = {
    table.name: table for table in (SDSS_DR17_QUASARS, DEEP2_3DHST_CFHTLS)
}
"""By name."""
