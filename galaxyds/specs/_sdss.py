"""What the SDSS datasets share: sentinel, per-band columns, citations, licence."""

from __future__ import annotations

from dataclasses import replace

from galaxyds.spec import Band, Citation, Column, Licence

SENTINEL = -9999.0
"""What SDSS tables hold where there is no value (their columns are never NULL)."""

# Effective wavelengths of the SDSS camera: Fukugita et al. 1996, table 2a.
BANDS = tuple(
    Band(name=name, unit="nanomaggy", zero_point=22.5, wavelength=wavelength)
    for name, wavelength in zip("ugriz", (3557.0, 4825.0, 6261.0, 7672.0, 9097.0), strict=True)
)


def object_columns(spectra: str, photometry: str) -> tuple[Column, ...]:
    """Columns on which object, which spectrum, which field, and where.

    Parameters
    ----------
    spectra, photometry : str
        Names that ``SpecObjAll`` and ``PhotoObjAll`` bear in the FROM clause.

    Returns
    -------
    tuple of Column
        Seven of them.
    """
    b = photometry
    return (
        Column(name="object_id", dtype="int64", archive=f"{b}.objID",
               description="photometric objID"),
        Column(name="spec_object_id", dtype="uint64", archive=f"{spectra}.specObjID",
               description="specObjID of the spectrum kept; plates from 8192 on exceed int64"),
        Column(name="run", dtype="int32", archive=f"{b}.run", description="imaging run"),
        Column(name="camcol", dtype="int32", archive=f"{b}.camcol",
               description="camera column, 1 to 6"),
        Column(name="field", dtype="int32", archive=f"{b}.field", description="field of the run"),
        Column(name="ra", dtype="float64", unit="deg", archive=f"{b}.ra",
               description="right ascension, ICRS"),
        Column(name="dec", dtype="float64", unit="deg", archive=f"{b}.dec",
               description="declination, ICRS"),
    )  # fmt: skip


OBJECT_COLUMNS = (
    *object_columns("a", "b"),
    Column(name="row_r", dtype="float32", unit="pix", archive="b.rowc_r", nullable=True,
           sentinel=SENTINEL, stored=False, description="row of the centre in the r-band frame"),
    Column(name="col_r", dtype="float32", unit="pix", archive="b.colc_r", nullable=True,
           sentinel=SENTINEL, stored=False, description="column of the centre in the r-band frame"),
)  # fmt: skip
"""Those, and where in its own frame: a = SpecObjAll, b = PhotoObjAll."""


def band_columns(
    stem: str,
    archive: str,
    unit: str,
    description: str,
    *,
    derived: str = "",
    sentinel: float | None = SENTINEL,
) -> tuple[Column, ...]:
    """One float32 column per ugriz band.

    Parameters
    ----------
    stem, archive : str
        ``psf_mag`` and ``b.psfMag`` give ``psf_mag_u`` from ``b.psfMag_u`` and so on.
    unit, description : str
        As in :class:`galaxyds.spec.Column`; the band is added to the description.
    derived : str
        A template with ``{band}``, for columns that are not queried.
    sentinel : float or None
        What stands for a missing value; None if there always is one.

    Returns
    -------
    tuple of Column
        In the order u, g, r, i, z.
    """
    return tuple(
        Column(
            name=f"{stem}_{band}",
            dtype="float32",
            unit=unit,
            description=f"{description}, {band} band",
            archive=f"{archive}_{band}" if archive else "",
            derived=derived.format(band=band),
            nullable=sentinel is not None,
            sentinel=sentinel if archive else None,
        )
        for band in "ugriz"
    )


SDSS_DR17_LICENCE = Licence(
    name="SDSS public data, free to use with acknowledgement",
    spdx="LicenseRef-SDSS-public-data",
    redistribution="SDSS data releases are public and may be redistributed freely; SDSS asks that "
    "publications acknowledge the survey and cite the data release. Since the terms are stated on "
    "a web page that may change, read them before you publish a copy.",
    acknowledgement="Based on data of the Sloan Digital Sky Survey IV, Data Release 17. "
    "The full text that SDSS asks for is at the address given with the licence.",
    url="https://www.sdss.org/collaboration/citing-sdss/",
)

SDSS_DR12_LICENCE = replace(
    SDSS_DR17_LICENCE,
    acknowledgement="Based on data of the Sloan Digital Sky Survey III, Data Release 12. "
    "The full text that SDSS asks for is at the address given with the licence.",
)

PAPER_CITATIONS = (
    Citation(
        key="zhang2023",
        role="dataset",
        text="Zhang, C., Wang, W., Qu, M., Zhang, Y., Jiang, B. 2023, A cross-modal adversarial "
        "learning method for estimating photometric redshift of quasars, ICML 2023 ML4Astro",
        bibtex="@inproceedings{zhang2023,\n"
        "  author = {Zhang, Chen and Wang, Wenyu and Qu, Meixia and Zhang, Yanxia and Jiang, Bin},"
        "\n  title = {A cross-modal adversarial learning method for estimating photometric "
        "redshift of quasars},\n  booktitle = {ICML 2023 Workshop on Machine Learning for "
        "Astrophysics},\n  year = {2023}\n}",
    ),
    Citation(
        key="hong2023",
        role="baseline sample",
        text="Hong, S., Zou, Z., Luo, A.-L., Kong, X., Yang, W., Chen, Y. 2023, MNRAS 518, 5049",
        bibtex="@article{hong2023,\n"
        "  author = {Hong, Shuxin and Zou, Zhiqiang and Luo, A-Li and Kong, Xiao and Yang, Wenyu "
        "and Chen, Yanli},\n  title = {PhotoRedshift-MML: a multimodal machine learning method "
        "for estimating photometric redshifts of quasars},\n  journal = {MNRAS},\n"
        "  volume = {518},\n  pages = {5049},\n  year = {2023}\n}",
    ),
    Citation(
        key="sdssdr17",
        role="survey",
        text="Abdurro'uf et al. 2022, The Seventeenth Data Release of the Sloan Digital Sky "
        "Surveys, ApJS 259, 35",
        bibtex="@article{sdssdr17,\n  author = {{Abdurro'uf} and others},\n"
        "  title = {The Seventeenth Data Release of the Sloan Digital Sky Surveys},\n"
        "  journal = {ApJS},\n  volume = {259},\n  pages = {35},\n  year = {2022}\n}",
    ),
)

DR12_CITATIONS = (
    Citation(
        key="pasquet2019", role="sample, images and published files",
        text="Pasquet, J., Bertin, E., Treyer, M., Arnouts, S., Fouchez, D. 2019, A&A 621, A26",
        bibtex="@article{pasquet2019,\n  author = {Pasquet, Johanna and Bertin, Emmanuel and "
        "Treyer, Marie and Arnouts, Stephane and Fouchez, Dominique},\n  title = {Photometric "
        "redshifts from SDSS images using a convolutional neural network},\n"
        "  journal = {A\\&A},\n  volume = {621},\n  pages = {A26},\n  year = {2019}\n}",
    ),
    Citation(
        key="alam2015", role="survey",
        text="Alam, S. et al. 2015, The Eleventh and Twelfth Data Releases of the SDSS, ApJS 219, "
        "12",
        bibtex="@article{alam2015,\n  author = {Alam, Shadab and others},\n  title = {The Eleventh "
        "and Twelfth Data Releases of the Sloan Digital Sky Survey},\n  journal = {ApJS},\n"
        "  volume = {219},\n  pages = {12},\n  year = {2015}\n}",
    ),
    Citation(
        key="beck2016", role="column zphot",
        text="Beck, R. et al. 2016, Photometric redshifts for the SDSS Data Release 12, MNRAS 460, "
        "1371",
        bibtex="@article{beck2016,\n  author = {Beck, R. and others},\n  title = {Photometric "
        "redshifts for the SDSS Data Release 12},\n  journal = {MNRAS},\n  volume = {460},\n"
        "  pages = {1371},\n  year = {2016}\n}",
    ),
)  # fmt: skip
"""What to cite for the main galaxy sample of data release 12."""
