"""What the HSC datasets share: bands, flags of the photometry, licence, measured columns."""

from __future__ import annotations

from galaxyds.spec import Band, Citation, Column, Cut, Licence

NAMES = "grizy"
# Effective wavelengths of the HSC filters: Kawanomoto et al. 2018 (PASJ 70, 66).
BANDS = tuple(
    Band(name=name, unit="count", zero_point=27.0, wavelength=wavelength)
    for name, wavelength in zip(NAMES, (4754.0, 6175.0, 7711.0, 8898.0, 9762.0), strict=True)
)

# Published flags of the pipeline: column stem, what it says of the object, name of the cut.
_FLAGS = (
    ("sdsscentroid_flag", "the centroid failed", "centroid"),
    ("pixelflags_interpolatedcenter", "pixels at the centre were interpolated", "interpolated"),
    ("pixelflags_saturatedcenter", "pixels at the centre are saturated", "saturated"),
    ("cmodel_flag", "the cmodel fit failed", "cmodel"),
    ("pixelflags_edge", "the object lies at the edge of the coadd", "edge"),
    ("pixelflags_crcenter", "a cosmic ray hit the centre", "cosmic-ray"),
    ("pixelflags_bad", "a bad pixel lies in the footprint", "bad-pixel"),
)

FLAG_COLUMNS = tuple(
    Column(name=f"{band}_{stem}", dtype="bool", archive=f"{band}_{stem}", stored=False,
           description=f"{meaning}, {band} band")
    for stem, meaning, _ in _FLAGS
    for band in NAMES
)  # fmt: skip
"""Flags that the cuts test; none of them is set for an object of the dataset."""

FLAG_CUTS = tuple(
    Cut(name=name, sql=" AND ".join(f"NOT {band}_{stem}" for band in NAMES),
        shown=f"NOT {{g,r,i,z,y}}_{stem}", source="App. A; Sect. 3.1",
        why=f"left out if {meaning} in any band")
    for stem, meaning, name in _FLAGS
)  # fmt: skip


def band_columns(
    stem: str,
    unit: str,
    description: str,
    *,
    archive: bool = False,
    dtype: str = "float32",
    valid: tuple[float, float] | None = None,
) -> tuple[Column, ...]:
    """One column per grizy band, named ``{band}_{stem}`` as at the archive.

    Parameters
    ----------
    stem, unit, description : str
        As in :class:`galaxyds.spec.Column`; the band is added to the description.
    archive : bool
        Whether the archive has it under the same name; else it is measured here.
    dtype : str
        Of the column.
    valid : tuple of float, optional
        Lowest and highest possible value.

    Returns
    -------
    tuple of Column
        In the order g, r, i, z, y.
    """
    whole = not archive and not dtype.startswith("float")
    return tuple(
        Column(
            name=f"{band}_{stem}",
            dtype=dtype,
            unit=unit,
            description=f"{description}, {band} band",
            archive=f"{band}_{stem}" if archive else "",
            nullable=True,
            sentinel=-1 if whole else None,
            valid=valid,
        )
        for band in NAMES
    )


RAW_COLUMNS = tuple(
    Column(name=name, dtype="int16", unit="pix", description=description, nullable=True,
           sentinel=-32768)
    for name, description in (
        ("raw_rows", "rows of the cutout that the archive delivered"),
        ("raw_columns", "columns of the cutout that the archive delivered"),
        ("pad_rows", "first row of the delivered cutout in the 127-pixel image; zeros before it"),
        ("pad_columns", "first column of the delivered cutout in the 127-pixel image"),
    )
)  # fmt: skip
"""What is left of the delivered cutout's geometry."""

MORPHOLOGY_COLUMNS = (
    *band_columns("x_coord", "pix", "column of the central source in the delivered cutout, 1-based "
                  "as SExtractor's X_IMAGE; 0 if none is detected"),
    *band_columns("y_coord", "pix", "row of the central source in the delivered cutout, 1-based"),
    *band_columns("major_axis", "pix", "A_IMAGE: rms along the major axis", valid=(0, 100)),
    *band_columns("minor_axis", "pix", "B_IMAGE: rms along the minor axis", valid=(0, 100)),
    *band_columns("pos_angle", "deg", "THETA_IMAGE: major axis from the x axis, counter-clockwise",
                  valid=(-90, 90)),
    *band_columns("ellipticity", "", "1 - B/A", valid=(0, 1)),
    *band_columns("isophotal_area", "pix**2", "ISOAREA_IMAGE: pixels above the analysis threshold",
                  valid=(0, 16129)),
    *band_columns("half_light_radius", "pix", "FLUX_RADIUS that holds half of FLUX_AUTO"),
    *band_columns("petro_rad", "", "PETRO_RADIUS in units of A_IMAGE, as published (the paper says "
                  "pixels)"),
    *band_columns("petro_rad_pixels", "pix", "PETRO_RADIUS times A_IMAGE"),
    *band_columns("peak_surface_brightness", "mag/arcsec**2", "MU_MAX with zero point 0 and "
                  "0.17 arcsec per pixel, as published: add 27 for AB"),
    *band_columns("central_image_pop_5px_rad", "", "sources within 5 pixels of the middle, the "
                  "central one included", dtype="int32"),
    *band_columns("central_image_pop_10px_rad", "", "sources within 10 pixels of the middle",
                  dtype="int32"),
    *band_columns("central_image_pop_15px_rad", "", "sources within 15 pixels of the middle",
                  dtype="int32"),
    *band_columns("total_galaxies", "", "sources in the image", dtype="int32"),
    *band_columns("sersic_index", "", "index of the PSF-convolved Sersic fit, 0.3 to 8; NaN if "
                  "there is no fit"),
    *band_columns("sersic_radius", "pix", "half-light radius of that fit along the major axis"),
    *band_columns("sersic_axis_ratio", "", "axis ratio of that fit"),
    *band_columns("sersic_chi2", "", "reduced chi-square of that fit"),
    *band_columns("morphology_flags", "", "bit mask on the measurement, 0 = nothing to say",
                  dtype="int32"),
)  # fmt: skip
"""Measured on the delivered cutouts, before padding (Sect. 3.4; Table 1)."""

HSC_LICENCE = Licence(
    name="HSC-SSP public data release, free to use with acknowledgement",
    spdx="LicenseRef-HSC-SSP-public-data",
    redistribution="The catalogues and images of the public data releases may be used by anyone "
    "with an account; the terms are stated on the survey's pages, so read them before you publish "
    "a copy. The authors' own files (Zenodo) are CC-BY 4.0.",
    acknowledgement="Based on data of the Hyper Suprime-Cam Subaru Strategic Program, Public Data "
    "Release 2. The full text that HSC asks for is at the address given with the licence.",
    url="https://hsc-release.mtk.nao.ac.jp/doc/index.php/acknowledging-hsc/",
)

AIHARA = Citation(
    key="aihara2019",
    role="survey",
    text="Aihara, H. et al. 2019, Second data release of the Hyper Suprime-Cam Subaru Strategic "
    "Program, PASJ 71, 114",
    bibtex="@article{aihara2019,\n  author = {Aihara, Hiroaki and others},\n"
    "  title = {Second data release of the Hyper Suprime-Cam Subaru Strategic Program},\n"
    "  journal = {PASJ},\n  volume = {71},\n  pages = {114},\n  year = {2019}\n}",
)
"""What the survey asks to be cited."""

PAPER_CITATIONS = (
    Citation(
        key="do2024",
        role="dataset",
        text="Do, T., Boscoe, B., Jones, E., Li, Y. Q., Alfaro, K. 2024, GalaxiesML: a dataset of "
        "galaxy images, photometry, redshifts, and structural parameters for machine learning, "
        "arXiv:2410.00271",
        bibtex="@misc{do2024,\n"
        "  author = {Do, Tuan and Boscoe, Bernie and Jones, Evan and Li, Yun Qi and Alfaro, "
        "Kevin},\n  title = {GalaxiesML: a dataset of galaxy images, photometry, redshifts, and "
        "structural parameters for machine learning},\n  howpublished = {arXiv:2410.00271},\n"
        "  eprint = {2410.00271},\n  archivePrefix = {arXiv},\n  year = {2024}\n}",
    ),
    Citation(
        key="galaxiesml_zenodo",
        role="published files",
        text="Do, T. et al. 2024, GalaxiesML, Zenodo, doi:10.5281/zenodo.11117528",
        bibtex="@misc{galaxiesml_zenodo,\n  author = {Do, Tuan and others},\n"
        "  title = {GalaxiesML},\n  publisher = {Zenodo},\n"
        "  doi = {10.5281/zenodo.11117528},\n  year = {2024}\n}",
    ),
    AIHARA,
    Citation(
        key="bertin1996",
        role="morphology definitions",
        text="Bertin, E., Arnouts, S. 1996, SExtractor: Software for source extraction, "
        "A&AS 117, 393",
        bibtex="@article{bertin1996,\n  author = {Bertin, E. and Arnouts, S.},\n"
        "  title = {SExtractor: Software for source extraction},\n  journal = {A\\&AS},\n"
        "  volume = {117},\n  pages = {393},\n  year = {1996}\n}",
    ),
)
