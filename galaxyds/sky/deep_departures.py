"""Where the simulated HSC-Deep departs from nature, in sentences that a card can quote."""

from __future__ import annotations

from galaxyds.sky.hsc_departures import departures as hsc_departures

_LEFT_OUT = ("The footprint is", "Redshifts come from", "The catalogue holds", "Noise is normal")
"""Beginnings of what is said of the simulated Wide layer and is not so here."""
_DEPARTURES = """
The footprint is three fields of four patches each, 0.4 square degrees together, at the places of
COSMOS (u* over its north, u, J, H and Ks over all of it), XMM-LSS (u; J and Ks in the south, no H)
and DEEP2-3 (u over nine tenths of it, no near infrared); ELAIS-N1 is left out.

All surveys of redshifts observe all fields, with more targets per area than in nature and invented
completeness and failures; columns, sentinels and flags are the surveys' own.

The catalogue holds sources with i brighter than 25.0 and SDSS r brighter than 25.4, so the reddest
faint ones lack; images hold sources down to r = 26.5, in the near infrared, too, so that very red
sources lack there.

Noise is normal; coadds are 0.6 mag deeper than those of the Wide layer everywhere, the UltraDeep
layer included; neighbouring pixels correlate by 0.1 in every direction and no further; a pixel has
the same noise in every cutout of its tract, and another one in the next tract.

Mosaics are gnomonic planes with pixels of 0.186 to 0.3 arcsec, turned by up to two degrees, with
zero points between 23.9 and 30; each has one depth and one round PSF (Moffat, exponent 2.5) and no
holes: where it ends, it ends along a straight line.

Spectra of galaxies end in invented slopes between 1.6 and 2.6 micrometres; stars are continued from
their optical colours, quasars by their power law, without dust of their own that shines.

The number of exposures is 30 in every band, or 0 where a coadd is empty.
"""


def departures() -> tuple[str, ...]:
    """Return what a user must know before drawing conclusions from simulated HSC-Deep cutouts.

    Returns
    -------
    tuple of str
        One sentence or a few each.
    """
    own = tuple(" ".join(part.split()) for part in _DEPARTURES.strip().split("\n\n"))
    return own + tuple(one for one in hsc_departures() if not one.startswith(_LEFT_OUT))
