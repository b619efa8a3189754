"""The page on redshift surveys, from their descriptions.

``python -m galaxyds.catalog.survey_page > docs/redshift_surveys.md`` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from galaxyds.catalog.parts import JOIN_RADIUS
from galaxyds.catalog.specz import TRAINING, RawColumn, RedshiftSurvey
from galaxyds.catalog.surveys import DEC_NAMES, RA_NAMES, SURVEYS

_HEAD = """\
# Redshift surveys

Made from `galaxyds/catalog/surveys.py` by `python -m galaxyds.catalog.survey_page`; change that
file, not this page.

`cfhtls-wide` and `hsc-deep` take their redshifts from the surveys of Table 1 of Ait-Ouahmed et al.
(2023): 1 to 14 are learnt from, 15 to 17 are for testing only. Each is read from VizieR, or from a
file that you have: put it into a folder under the name of the table below (`vvds.csv`; several
files of one survey as `vvds.wide.csv` and `vvds.deep.csv`) and give the folder to `--redshifts`. A
file goes before VizieR. A survey with neither is left out, and the manifest says so.

Files are FITS (`.fits`, the first binary table, not packed), comma-separated (`.csv`),
tab-separated (`.tsv`) or in columns (`.txt`, `.dat`, `.cat`), with the columns' names above the
rows, behind a `#` or not. Capitals do not matter, nor does what stands before a dot
(`ds_spectra.Z`). Positions are degrees, in columns of one of the usual names: {ra}; {dec}.

## How they are merged

- A row without a position, without a redshift, with one of 0 or less (stars, failures), or that a
  survey's own sentinels name, is counted as *sentinel*.
- A row whose redshift is not secure, or that is outside the sample's limits, is counted as
  *insecure*; the others are *secure*. `read = sentinel + insecure + secure`.
- Of secure redshifts within 1 arcsec one stays: training surveys go before test samples, test
  samples go in their order below, then the more confident wins, and equally confident ones are
  drawn by a seeded hash of position and survey, so that more rows elsewhere change no choice.
  `secure = duplicate + kept`.
- Merging is greedy: a redshift removes what is within 1 arcsec of it, not what is near those.
- Confidence is on the scale of VVDS: 4 is certain (about 99 %), 3 very probable (about 95 %).
  Prism and grism redshifts have 2, photometric ones 1.
- Flags of VVDS and of surveys with its flags: the last digit before the point is the quality,
  so 3, 4, 13, 14, 23 and 24 are secure and 9 (a single line), 11, 12, 21 and 22 are not. The
  ReadMe of VizieR J/ApJ/858/77 states this mapping; where it is not verified that a survey's flags
  are of this kind, its section says so.
- Which survey won, its own flag and the confidence are columns: `redshift_survey`,
  `redshift_flag`, `redshift_confidence`.
- A difference from the paper: its Sect. 2.4 takes 3D-HST from XMM-LSS and COSMOS only, and PRIMUS
  from XMM-LSS, COSMOS and DEEP2-3; here both are taken wherever they meet the images.

"""


def page(surveys: Sequence[RedshiftSurvey] = SURVEYS) -> str:
    """Return the page as Markdown."""
    ra, dec = (", ".join(f"`{name}`" for name in names) for names in (RA_NAMES, DEC_NAMES))
    return (
        _HEAD.format(ra=ra, dec=dec)
        + _table(surveys)
        + "".join(_section(survey) for survey in surveys)
    )


def _table(surveys: Sequence[RedshiftSurvey]) -> str:
    lines = [
        "| # | name of the file | survey | sample | read from VizieR |",
        "|---|---|---|---|---|",
    ]
    for one in surveys:
        tables = ", ".join(f"`{table.name}`" for table in one.vizier) or "no: a file only"
        files = ", ".join(f"`{one.name}-{part}`" for part in one.parts) or f"`{one.name}`"
        lines.append(f"| {one.number} | {files} | {one.title} | {one.sample} | {tables} |")
    return "\n".join(lines) + "\n"


def _section(survey: RedshiftSurvey) -> str:
    rules = [
        ("redshift", survey.redshift), ("flag", survey.flag), ("sentinel", survey.sentinel),
        ("secure", survey.secure), ("limits", survey.limits), ("confidence", survey.confidence),
    ]  # fmt: skip
    use = "" if survey.sample == TRAINING else " (never learnt from)"
    source = f"{survey.reference}. Published: {survey.where}. Sample: {survey.sample}{use}.\n"
    lines = [
        f"\n## {survey.number}. {survey.title}\n",
        source,
        "Columns: " + "; ".join(_column(column) for column in survey.columns) + ".\n",
    ]
    if survey.parts:
        names = " and ".join(f"`{survey.name}-{part}`" for part in survey.parts)
        lines.append(
            f"{names} are joined where each is the other's nearest within {JOIN_RADIUS} arcsec; "
            "columns then end in the part's name.\n"
        )
    lines += [f"- {name}: `{rule}`" for name, rule in rules if rule not in ("TRUE", "FALSE")]
    lines += [f"- verified: {fact}" for fact in survey.verified]
    lines += [f"- **not verified**: {fact}" for fact in survey.unverified]
    return "\n".join(lines) + "\n"


def _column(column: RawColumn) -> str:
    usual = set(column.also) < set(RA_NAMES) or set(column.also) < set(DEC_NAMES)
    others = "" if usual else ", ".join(f"`{name}`" for name in column.also)
    shown = f"`{column.name}`" + (f" (or {others})" if others else "")
    return shown + (" if there" if column.optional else "")


if __name__ == "__main__":
    sys.stdout.write(page())
