"""What the three datasets of Ait-Ouahmed et al. (2023) share: folds, dust, repeats, what to cite.

Section numbers are that paper's.

**The 0.86 trap.**  Column ``ebv`` is E(B-V) of the map by Schlegel, Finkbeiner & Davis (1998) as
they published it.  Schlafly & Finkbeiner (2011) found it too large by 14 %, and some software
(``sfdmap`` and its successor by default) multiplies the map by 0.86 before it answers.  Tabulated
coefficients A_band / E(B-V), those of 2011 included, belong to the *unscaled* map: multiplying a
scaled value by them counts the correction twice, and a network trained on one scale sees 14 % less
dust on the other.  Nothing here is ever scaled.
"""

from __future__ import annotations

from galaxyds.spec import Citation, Column, Deduplication, Erratum, Split

PAPER = "Ait-Ouahmed et al. 2023, Multimodality for improved CNN photometric redshifts"
"""Name of the paper."""

SPLIT = Split(folds=5, source="Sect. 3.4: 5 cross-validation samples of 20 %")
"""Every object is tested in exactly one of five folds; the hash is of the object id."""


def ebv_column(archive: str = "", *, source: str = "SFD map") -> Column:
    """Column ``ebv``, on the scale of this module's first lines.

    Parameters
    ----------
    archive : str
        Expression at the archive.
    source : str
        Where the value is from, for the description.

    Returns
    -------
    Column
        float32, magnitudes.
    """
    return Column(
        name="ebv",
        dtype="float32",
        unit="mag",
        archive=archive,
        valid=(0.0, 20.0),
        description=f"Galactic reddening E(B-V) of Schlegel et al. 1998, unscaled ({source})",
    )


EBV = ebv_column("ebv")
"""Column ``ebv`` of compiled catalogues, whose columns bear our names."""


def same_position(*order: str) -> Deduplication:
    """Rule that keeps one object of several within an arcsecond.

    Parameters
    ----------
    *order : str
        DuckDB expressions; of several the first one is kept.

    Returns
    -------
    Deduplication
        Named ``same-position``.
    """
    return Deduplication(
        name="same-position",
        key="",
        radius=1.0,
        order=order,
        why="one source listed twice would stand in the training and the test sample of a fold",
        source="Sect. 3.4: each galaxy appears once in the test sample",
    )


ERRATA = (
    Erratum(
        point="cross-validation",
        paper="5 samples of 20 %; neither the draw nor a validation sample is stated",
        choice="five folds by a seeded hash of the id; one in twenty of a fold's training objects "
        "serves for validation, and belongs to the training sample for whoever wants 80 %",
    ),
    Erratum(
        point="outliers",
        paper="|dz| >= 0.05 (SDSS) and 0.15 in the text, '>' in released code",
        choice=">=",
    ),
    Erratum(
        point="redshift bins",
        paper="not stated (180 on [0, 0.4] in Pasquet 2019, 1000 on [0, 4] in Lin et al.)",
        choice="those two; a setting of the model",
    ),
    Erratum(
        point="Table 3 and Table A.1",
        paper="pictures in the source at hand",
        choice="no comparison is made with them",
    ),
)
"""Points of the whole paper."""


PAPER_CITATIONS = (
    Citation(
        key="aitouahmed2023",
        role="dataset",
        text="Ait-Ouahmed, R., Arnouts, S., Pasquet, J., Treyer, M., Bertin, E. 2024, "
        "Multimodality for improved CNN photometric redshifts, A&A 683, A26",
        bibtex="@article{aitouahmed2023,\n"
        "  author = {Ait-Ouahmed, Reda and Arnouts, Stephane and Pasquet, Johanna and Treyer, "
        "Marie and Bertin, Emmanuel},\n"
        "  title = {Multimodality for improved CNN photometric redshifts},\n  journal = {A\\&A},\n"
        "  volume = {683},\n  pages = {A26},\n  year = {2024},\n"
        "  doi = {10.1051/0004-6361/202347395}\n}",
    ),
    Citation(
        key="schlegel1998",
        role="Galactic reddening",
        text="Schlegel, D. J., Finkbeiner, D. P., Davis, M. 1998, ApJ 500, 525",
        bibtex="@article{schlegel1998,\n"
        "  author = {Schlegel, David J. and Finkbeiner, Douglas P. and Davis, Marc},\n"
        "  title = {Maps of Dust Infrared Emission for Use in Estimation of Reddening and Cosmic "
        "Microwave Background Radiation Foregrounds},\n  journal = {ApJ},\n  volume = {500},\n"
        "  pages = {525},\n  year = {1998}\n}",
    ),
)
"""What every one of the three cites; the surveys are the datasets' own."""
