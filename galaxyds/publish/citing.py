"""What to cite for a dataset: papers, survey, software; as text or as BibTeX.

Papers, surveys and acknowledgements come from the declaration.  The software is that which makes
the bytes of the dataset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from galaxyds._version import __version__
from galaxyds.spec import Citation, DatasetSpec
from galaxyds.store import list_builds

_PLAIN_FIELDS = re.compile(r"\s*(url|doi|eprint)\s*=", re.IGNORECASE)
_SPECIAL = re.compile(r"(?<!\\)([&%#])")
_KEY = re.compile(r"@\w+\{\s*([^,\s]+)")


def _software(key: str, text: str, fields: str, *, kind: str = "article") -> Citation:
    return Citation(key=key, role="software", text=text, bibtex=f"@{kind}{{{key},\n{fields}\n}}")


def _fields(**fields: str) -> str:
    return ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())


GALAXYDS = _software(
    "galaxyds",
    f"galaxyds {__version__}, the galaxyds developers",
    _fields(
        author="{The galaxyds developers}",
        title="galaxyds: versioned, verifiable datasets for photometric redshifts from images",
        version=__version__,
        year="2026",
    ),
    kind="software",
)
_ALWAYS = (
    _software(
        "astropy2022",
        "Astropy Collaboration 2022, ApJ 935, 167",
        _fields(author="{Astropy Collaboration}", journal="ApJ", volume="935", pages="167",
                title="The Astropy Project: Sustaining and Growing a Community-oriented "
                "Open-source Project and the Latest Major Release (v5.0) of the Core Package",
                year="2022", doi="10.3847/1538-4357/ac7c74"),
    ),
    _software(
        "harris2020",
        "Harris, C. R. et al. 2020, Array programming with NumPy, Nature 585, 357",
        _fields(author="Harris, Charles R. and others", title="Array programming with {NumPy}",
                journal="Nature", volume="585", pages="357", year="2020",
                doi="10.1038/s41586-020-2649-2"),
    ),
)  # fmt: skip
_SEP = _software(
    "barbary2016",
    "Barbary, K. 2016, SEP: Source Extractor as a library, JOSS 1, 58",
    _fields(author="Barbary, Kyle", title="{SEP}: Source Extractor as a library", journal="JOSS",
            volume="1", pages="58", year="2016", doi="10.21105/joss.00058"),
)  # fmt: skip
_SEXTRACTOR = _software(
    "bertin1996",
    "Bertin, E., Arnouts, S. 1996, SExtractor: Software for source extraction, A&AS 117, 393",
    _fields(author="Bertin, E. and Arnouts, S.", title="{SExtractor}: Software for source "
            "extraction", journal=r"A\&AS", volume="117", pages="393", year="1996",
            doi="10.1051/aas:1996164"),
)  # fmt: skip
_DUSTMAPS = _software(
    "green2018",
    "Green, G. 2018, dustmaps: A Python interface for maps of interstellar dust, JOSS 3, 695",
    _fields(author="Green, Gregory M.", title="dustmaps: A {Python} interface for maps of "
            "interstellar dust", journal="JOSS", volume="3", pages="695", year="2018",
            doi="10.21105/joss.00695"),
)  # fmt: skip
GALSIM = _software(
    "rowe2015",
    "Rowe, B. T. P. et al. 2015, GALSIM: The modular galaxy image simulation toolkit, A&C 10, 121",
    _fields(author="Rowe, B. T. P. and others", title="{GALSIM}: The modular galaxy image "
            "simulation toolkit", journal="Astronomy and Computing", volume="10", pages="121",
            year="2015", doi="10.1016/j.ascom.2015.02.002"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What to cite for a dataset.

    Attributes
    ----------
    spec : DatasetSpec
        Its declaration.
    citations : tuple of Citation
        Papers and surveys, then software; every key once.
    notice : str
        What the builds on this machine change about that; empty for nothing.
    """

    spec: DatasetSpec
    citations: tuple[Citation, ...]
    notice: str = ""


def reference(spec: DatasetSpec, home: Path | None = None) -> Reference:
    """Put together what to cite.

    Parameters
    ----------
    spec : DatasetSpec
        Of the dataset.
    home : pathlib.Path, optional
        Data home; where it holds only simulated builds of the dataset, that is said.

    Returns
    -------
    Reference
        Papers and software.
    """
    ours = [b for b in list_builds(home) if b.manifest.name == spec.name] if home else []
    simulated = bool(ours) and all(build.manifest.archive.simulated for build in ours)
    notice = (
        f"what is built here ({', '.join(build.address for build in ours)}) is of the simulated "
        "sky: no data of the survey are in it, so say that instead of thanking the survey"
        if simulated
        else ""
    )
    software = (*software_of(spec), *((GALSIM,) if simulated else ()))
    unique = {citation.key: citation for citation in reversed((*spec.citations, *software))}
    return Reference(spec=spec, citations=tuple(reversed(unique.values())), notice=notice)


def software_of(spec: DatasetSpec) -> tuple[Citation, ...]:
    """Software that makes the bytes of a dataset built from its archive."""
    stored = {column.name for column in spec.stored_columns()}
    return (
        GALAXYDS,
        *_ALWAYS,
        *((_SEXTRACTOR, _SEP) if "morphology" in spec.stages else ()),
        *((_DUSTMAPS,) if "ebv" in stored else ()),
    )


def as_text(one: Reference) -> Iterator[tuple[str, str]]:
    """Yield headings and texts: citations by role, the acknowledgement, the terms, a notice."""
    for citation in one.citations:
        yield citation.role, citation.text
    licence = one.spec.licence
    yield "acknowledgement", f"{licence.acknowledgement} {licence.url}"
    yield "terms", f"{licence.name}. {licence.redistribution}"
    if one.notice:
        yield "note", one.notice


def as_bibtex(references: Sequence[Reference]) -> str:
    """Return BibTeX for several datasets, every entry once; acknowledgements stand as comments.

    Parameters
    ----------
    references : sequence of Reference
        In order.

    Returns
    -------
    str
        Entries, each after a blank line.
    """
    blocks: list[str] = []
    seen: set[str] = set()
    for one in references:
        thanks = f"{one.spec.name}: {one.spec.licence.acknowledgement} {one.spec.licence.url}"
        blocks.append("\n".join(_comment(line) for line in (thanks, one.notice) if line))
        for citation in one.citations:
            if citation.key not in seen:
                seen.add(citation.key)
                blocks.append(escaped(citation.bibtex.strip()))
    return "\n\n".join(blocks) + "\n"


def escaped(bibtex: str) -> str:
    r"""Escape what LaTeX would trip over (``A&A``), but for addresses and what is escaped already.

    Parameters
    ----------
    bibtex : str
        One entry, a field per line.

    Returns
    -------
    str
        The same entry.
    """
    return "\n".join(
        line if _PLAIN_FIELDS.match(line) else _SPECIAL.sub(r"\\\1", line)
        for line in bibtex.splitlines()
    )


def _comment(text: str) -> str:
    # BibTeX takes all text between entries for a comment, up to the next @.
    return f"% {' '.join(text.split()).replace('@', '(at)')}"
