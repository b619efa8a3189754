"""What HSC-Deep and the surveys that complete it ask for: citations and terms."""

from __future__ import annotations

from galaxyds.spec import Citation, Licence
from galaxyds.specs._hsc import AIHARA
from galaxyds.specs._multimodal import PAPER_CITATIONS


def _article(*, key: str, role: str, author: str, title: str, place: str) -> Citation:
    """Cite an article; ``place`` is journal, volume and page, the year is that of the key."""
    journal, volume, page = place.split()
    last, _, first = author.partition(", ")
    year = key[-4:]
    fields = {
        "author": f"{author} and others", "title": title, "journal": journal, "volume": volume,
        "pages": page, "year": year,
    }  # fmt: skip
    told = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    initials = " ".join(f"{name[0]}." for name in first.split())
    return Citation(
        key=key,
        role=role,
        text=f"{last}, {initials} et al. {year}, {title}, {journal} {volume}, {page}",
        bibtex=f"@article{{{key},\n{told}\n}}",
    )


CITATIONS = (
    *PAPER_CITATIONS,
    AIHARA,
    _article(
        key="sawicki2019",
        role="u bands",
        author="Sawicki, Marcin",
        title="The CFHT large area U-band deep survey (CLAUDS)",
        place="MNRAS 489 5202",
    ),
    _article(
        key="desprez2023",
        role="how the images were put together",
        author="Desprez, Guillaume",
        title="Combining the CLAUDS and HSC-SSP surveys",
        place="A&A 670 A82",
    ),
    _article(
        key="mccracken2012",
        role="near infrared in COSMOS",
        author="McCracken, Henry Joy",
        title="UltraVISTA: a new ultra-deep near-infrared survey in COSMOS",
        place="A&A 544 A156",
    ),
    _article(
        key="jarvis2013",
        role="near infrared in XMM-LSS",
        author="Jarvis, Matt J.",
        title="The VISTA Deep Extragalactic Observations (VIDEO) survey",
        place="MNRAS 428 1281",
    ),
)

LICENCE = Licence(
    name="Public data of HSC-SSP, CLAUDS and ESO, free to use with acknowledgement",
    spdx="LicenseRef-HSC-SSP-public-data",
    redistribution="Images and catalogues of HSC, CLAUDS, UltraVISTA and VIDEO each have terms of "
    "their own, stated on their pages. Every spectroscopic survey has, too, and what was given in "
    "private (a team's own catalogue) is not yours to pass on: look at redshift_survey before you "
    "publish a copy.",
    acknowledgement="Based on data of the Hyper Suprime-Cam Subaru Strategic Program (Public Data "
    "Release 2), of CLAUDS (MegaCam at the Canada-France-Hawaii Telescope), and of UltraVISTA and "
    "VIDEO (VISTA at ESO). The full texts that they ask for stand on their pages; the "
    "spectroscopic surveys ask for their own.",
    url="https://hsc-release.mtk.nao.ac.jp/doc/index.php/acknowledging-hsc/",
)
