"""Published numbers, as data: what papers report for the five datasets, with the place.

Numbers are in the unit of ``galaxyds.metrics``: fractions, not percent or thousandths.  A cell that
is not known has no value but the reason, so that a table shows a gap and not a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

Tag = Literal["paper", "computed", "abstract"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One published number, or one that is known to exist.

    Attributes
    ----------
    model : str
        Name of the reference model that it belongs to; empty for others' models.
    recipes : tuple of str
        Recipes of that model which reproduce it; no other one stands beside the number.
    pattern : str
        Which inputs, as in the results.
    label : str
        How the row is called.
    dataset : str
        ``name/config``.
    split : str
        Which split it compares with.
    sample : str
        What it was measured on, in words.
    objects : int or None
        Scored, where the source says so.
    metric : str
        Name in ``galaxyds.metrics``.
    value : float or None
        None where the number is not known.
    digits : int
        Significant digits that the source prints.
    source : str
        Article and table, or what it was computed from.
    tag : str
        ``paper``: printed in the article's tables or text; ``abstract``: in its abstract;
        ``computed``: from predictions that the authors published.
    why_unknown : str
        For a value that is None.
    note : str
        What a reader must know of this number.
    comparable : bool
        Whether it was measured on this dataset as the paper divides it.
    """

    model: str = ""
    recipes: tuple[str, ...] = ()
    pattern: str = ""
    label: str
    dataset: str
    split: str = "test"
    sample: str = ""
    objects: int | None = None
    metric: str
    value: float | None = None
    digits: int = 0
    source: str
    tag: Tag = "paper"
    why_unknown: str = ""
    note: str = ""
    comparable: bool = True


def published(dataset: str | None = None) -> tuple[Published, ...]:
    """Return the published numbers of a dataset (``name/config``), or all of them."""
    return tuple(row for row in _ALL if dataset in (None, row.dataset))


def datasets() -> tuple[str, ...]:
    """Return the datasets with published numbers, ``name/config``, in the order of the papers."""
    return tuple(dict.fromkeys(row.dataset for row in _ALL))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row of a printed table: what its numbers have in common."""

    label: str
    dataset: str
    source: str
    model: str = ""
    pattern: str = ""
    split: str = "test"
    sample: str = ""
    objects: int | None = None
    tag: Tag = "paper"
    comparable: bool = True

    def cells(
        self, printed: Mapping[str, str | None], *, why: str = "", **notes: str
    ) -> tuple[Published, ...]:
        """Return the row's numbers.

        Parameters
        ----------
        printed : mapping of str to str or None
            By metric, as the source prints them; behind a number of per cent ``%``, behind one of
            thousandths ``e-3``.
        why : str
            For those that are None.
        **notes
            By metric.
        """
        common = asdict(self)
        return tuple(
            Published(
                **common,
                recipes=_RECIPES.get(self.model, ()),
                metric=metric,
                value=None if text is None else _value(text),
                digits=0 if text is None else _digits(text),
                note=notes.get(metric, ""),
                why_unknown=why if text is None else "",
            )
            for metric, text in printed.items()
        )


def _value(text: str) -> float:
    if text.endswith("%"):
        return round(float(text[:-1]) / 100, 10)
    return float(text)


def _digits(text: str) -> int:
    """Count significant digits: 4 of ``0.1010``, 2 of ``-0.31e-3``."""
    mantissa = text.rstrip("%").partition("e")[0]
    return len(mantissa.lstrip("-0.").replace(".", ""))


_RECIPES: dict[str, tuple[str, ...]] = {
    "crossmodal": ("paper", "paper-patterns"),
    "hong-mlp": ("paper",),
    "galaxiesml-nn": ("paper", "released"),
    "galaxiesml-cnn": ("paper", "released"),
    "pasquet": ("paper",),
    "multimodal": ("paper", "sdss", "table-c1", "early"),
    "multimodal-baseline": ("paper", "sdss", "table-c1"),
}
"""By model: the recipes that stand for the one whose numbers its paper prints."""
_HONG = "SDSS DR17, the set of Hong et al. 2023"
_WHOLE = "SDSS DR17, extended set of 465,292 quasars"


def _quasars() -> tuple[Published, ...]:
    """Paper 000, Table 1, all six rows."""
    ours = "Zhang et al. 2023, photometry and image"
    hong = _Row(
        label="", dataset="sdss-qso/baseline", sample=_HONG, source="Zhang et al. 2023, Table 1"
    )
    whole = replace(hong, dataset="sdss-qso/extended", sample=_WHOLE)
    return (
        *_quasar(
            replace(hong, label="Hong et al. 2023, photometry", model="hong-mlp"),
            "80.41 92.60 96.06 98.23 0.1332",
        ),
        *_quasar(
            replace(hong, label="Hong et al. 2023, photometry and generated spectrum"),
            "84.45 93.59 96.43 98.35 0.1235",
        ),
        *_quasar(
            replace(hong, label=ours, model="crossmodal"),
            "82.05 94.62 97.88 98.96 0.1010",
            abstract="0.1031",
        ),
        *_quasar(
            replace(
                hong,
                label="Zhang et al. 2023, generated photometry and image",
                model="crossmodal",
                pattern="generated-photometry",
            ),
            "82.14 94.52 97.88 98.96 0.1011",
        ),
        *_quasar(
            replace(whole, label=ours, model="crossmodal"),
            "86.36 96.30 98.67 99.21 0.0865",
            abstract="0.0861",
        ),
        *_quasar(
            replace(
                whole,
                label="Zhang et al. 2023, photometry and generated image",
                model="crossmodal",
                pattern="generated-image",
            ),
            "73.48 94.60 98.63 99.17 0.1035",
        ),
    )


def _quasar(row: _Row, printed: str, *, abstract: str = "") -> tuple[Published, ...]:
    """Per cent with abs(dz) below 0.1, 0.2, 0.3, 0.4, and the RMSE of dz (Eq. 11)."""
    *percent, rmse = printed.split()
    values: dict[str, str | None] = {
        f"within_{tenths}0": f"{value}%" for tenths, value in enumerate(percent, 1)
    }
    values["rmse"] = rmse
    if not abstract:
        return row.cells(values)
    other = replace(
        row,
        label="Zhang et al. 2023, abstract",
        model="",
        source="Zhang et al. 2023, abstract",
        tag="abstract",
    )
    return (
        *row.cells(values, rmse=f"Table 1; the abstract has {abstract}"),
        *other.cells({"rmse": abstract}, rmse=f"abstract; Table 1 has {rmse}"),
    )


_SCATTER = (
    "Eq. 4 has no (1+z), the authors' released code divides by (1+z_spec): the number is taken for "
    "the normalised scatter"
)
_STRAY = "; the table prints a stray minus in front of it"
_LOSS = "as Eq. 1 is printed; the released code of the CNN does not divide by (1+z)"
_OTHER_SPLIT = "another test split of the same galaxies"


def _galaxiesml() -> tuple[Published, ...]:
    """Paper 002, Table 2, and predictions that others published."""
    row = _Row(
        label="Do et al. 2024, CNN",
        model="galaxiesml-cnn",
        dataset="hsc-galaxiesml/127",
        sample="GalaxiesML test set",
        objects=40_914,
        source="Do et al. 2024, Table 2",
    )
    nn = replace(row, label="Do et al. 2024, NN", model="galaxiesml-nn")
    return (
        *_galaxiesml_cells(row, "0.000100 0.0167 3.77% 0.0615 0.0577", scatter=_SCATTER + _STRAY),
        *_galaxiesml_nn(nn),
        *_galaxiesml_later(),
        *_galaxiesml_nn(replace(nn, dataset="hsc-galaxiesml/64")),
    )


def _galaxiesml_nn(row: _Row) -> tuple[Published, ...]:
    """Of a network that sees no image: both configs have its galaxies and its split."""
    return _galaxiesml_cells(row, "0.00110 0.0315 6.88% 0.133 0.106", scatter=_SCATTER)


def _galaxiesml_cells(row: _Row, printed: str, *, scatter: str) -> tuple[Published, ...]:
    names = ("bias_mean", "sigma_mad", "outliers_above_15", "mse", "hsc_loss_phot")
    values: dict[str, str | None] = dict(zip(names, printed.split(), strict=True))
    return row.cells(
        {**values, "sigma_mad_unnormalised": None},
        why="Eq. 4 defines it so, but the printed scatter is probably the normalised one",
        bias_mean="Eq. 2 is of one galaxy; taken for the mean",
        sigma_mad=scatter,
        hsc_loss_phot=_LOSS,
    )


def _galaxiesml_later() -> tuple[Published, ...]:
    row = _Row(
        label="LSTM-MDNz 2026, photometry",
        dataset="hsc-galaxiesml/127",
        sample=f"{_OTHER_SPLIT} (Zenodo 10145347)",
        objects=28_640,
        source="GalaxiesML_pred_z.dat of zjluo-code/LSTM-MDNz-GalaxiesML",
        tag="computed",
        comparable=False,
    )
    masked = replace(
        row,
        label="MMAE 2025, image only",
        sample="GalaxiesML-Spectra test set, 25 % of the image masked: other galaxies",
        objects=20_181,
        source="mmae_predictions of astrodatalab/himes_2025",
    )
    unmasked = replace(
        masked,
        label="MMAE 2025, image only, no mask",
        sample="GalaxiesML-Spectra test set, whole images: other galaxies",
    )
    return (
        *row.cells(
            {
                "bias_mean": "0.0124",
                "bias_median": "0.0013",
                "sigma_mad": "0.0239",
                "sigma_mad_unnormalised": "0.0347",
                "outliers_above_15": "6.45%",
                "rmse": "0.130",
                "mse": "0.0627",
                "hsc_loss_none": "0.1421",
                "hsc_loss_phot": "0.0894",
                "hsc_loss_spec": "0.0904",
                "crps": "0.0625",
            }
        ),
        *masked.cells(
            {
                "bias_mean": "0.0060",
                "sigma_mad": "0.0210",
                "outliers_above_15": "4.63%",
                "mse": "0.0820",
                "hsc_loss_spec": "0.0684",
            },
            hsc_loss_spec="taken for the form with (1+z_spec)",
        ),
        *unmasked.cells({"sigma_mad": "0.0304", "outliers_above_15": "5.18%"}),
    )


def _main_sample() -> tuple[Published, ...]:
    """Paper 003, Table 2: sigma and bias in thousandths, outliers (abs(dz) >= 0.05) in per cent."""
    row = _Row(
        label="",
        dataset="sdss-mgs/main",
        sample="SDSS DR12 main galaxies, r <= 17.8",
        source="Ait-Ouahmed et al. 2023, Table 2",
    )
    printed = (
        ("Pasquet et al. 2019", "pasquet", "9.08 0.31 0.04"),
        ("Dey et al. 2021", "", "8.98 0.19 0.07"),
        ("Hayat et al. 2021", "", "8.25 0.21 0.1"),
        ("Treyer et al. 2023", "multimodal-baseline", "8.00 0.18 -0.31"),
        ("Ait-Ouahmed et al. 2023, multimodal", "multimodal", "7.85 0.16 0.31"),
    )
    found: list[Published] = []
    for label, model, numbers in printed:
        sigma, outliers, bias = numbers.split()
        found += replace(row, label=label, model=model).cells(
            {"sigma_mad": f"{sigma}e-3", "outliers_05": f"{outliers}%", "bias_mean": f"{bias}e-3"}
        )
    clap = replace(row, label="CLAP 2024 (Lin et al.)", source="A&A 691, A331")
    why = (
        "the article's table was not at hand; its photometric redshifts (Zenodo 13954481) can be "
        "scored"
    )
    return (*found, *clap.cells(dict.fromkeys(_MGS_METRICS), why=why))


_MGS_METRICS = ("sigma_mad", "outliers_05", "bias_mean")
_DEEP_METRICS = ("sigma_mad", "outliers_15", "bias_mean")
_PICTURE = "{} is a picture in the text that was read; {}"
_GAINS = (
    "the text says that the multimodal network's sigma_mad is 2 to 10 % better and its outliers 4 "
    "to 30 % fewer over all these samples"
)
_LOSSES = "the text says that NMAE is the best regression and classification beats regression"
_TABLE_3 = (
    ("cfhtls-wide/main", "test", "CFHTLS-Wide, i <= 24"),
    ("hsc-deep/6band", "test", "HSC-Deep, 6 bands, i <= 24"),
    ("hsc-deep/9band", "test", "HSC-Deep, 9 bands, i <= 24"),
    ("hsc-deep/9band", "test_3dhst", "3D-HST grism redshifts"),
    ("hsc-deep/9band", "test_primus", "PRIMUS prism redshifts"),
    ("hsc-deep/9band", "test_cosmos2020", "COSMOS2020 photometric redshifts"),
)


def _deep() -> tuple[Published, ...]:
    """Paper 003, Tables 3 and A.1, whose numbers are not known."""
    found: list[Published] = []
    empty = dict.fromkeys(_DEEP_METRICS)
    for dataset, split, sample in _TABLE_3:
        for word, model in (("multimodal", "multimodal"), ("baseline", "multimodal-baseline")):
            row = _Row(
                label=f"Ait-Ouahmed et al. 2023, {word}",
                model=model,
                dataset=dataset,
                split=split,
                sample=sample,
                source="Ait-Ouahmed et al. 2023, Table 3",
            )
            found += row.cells(empty, why=_PICTURE.format("Table 3", _GAINS))
    for dataset, split, sample in (_TABLE_3[0], _TABLE_3[2]):
        row = _Row(
            label="Ait-Ouahmed et al. 2023, one modality, other losses",
            dataset=dataset,
            split=split,
            sample=sample,
            source="Ait-Ouahmed et al. 2023, Table A.1",
        )
        found += row.cells(empty, why=_PICTURE.format("Table A.1", _LOSSES))
    return tuple(found)


_ALL: tuple[Published, ...] = (*_quasars(), *_galaxiesml(), *_main_sample(), *_deep())
