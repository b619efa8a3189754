"""What HSC-Deep and the surveys that complete it ask for: citations and terms."""

from __future__ import annotations

from galaxyds.spec import Citation, Licence
from galaxyds.specs._multimodal import PAPER_CITATIONS

CITATIONS = (
    *PAPER_CITATIONS,
    *(
        Citation(key=key, role=role, text=f"{who} {year}, {title}, {where}",
                 bibtex=f"@article{{{key},\n  author = {{{names}}},\n  title = {{{title}}},\n"
                 f"  journal = {{{where.split()[0].rstrip(',')}}},\n  year = {{{year}}}\n}}")
        for key, role, who, names, year, title, where in (
            ("aihara2019", "survey", "Aihara, H. et al.", "Aihara, Hiroaki and others", 2019,
             "Second data release of the Hyper Suprime-Cam Subaru Strategic Program",
             "PASJ 71, 114"),
            ("sawicki2019", "u bands", "Sawicki, M. et al.", "Sawicki, Marcin and others", 2019,
             "The CFHT large area U-band deep survey (CLAUDS)", "MNRAS 489, 5202"),
            ("desprez2023", "how the images were put together", "Desprez, G. et al.",
             "Desprez, Guillaume and others", 2023,
             "Combining the CLAUDS and HSC-SSP surveys", "A&A 670, A82"),
            ("mccracken2012", "near infrared in COSMOS", "McCracken, H. J. et al.",
             "McCracken, Henry Joy and others", 2012,
             "UltraVISTA: a new ultra-deep near-infrared survey in COSMOS", "A&A 544, A156"),
            ("jarvis2013", "near infrared in XMM-LSS", "Jarvis, M. J. et al.",
             "Jarvis, Matt J. and others", 2013,
             "The VISTA Deep Extragalactic Observations (VIDEO) survey", "MNRAS 428, 1281"),
        )
    ),
)  # fmt: skip

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
