"""Where the sky that MegaCam looks at departs from nature, in sentences that a card can quote."""

from __future__ import annotations

_DEPARTURES = """
The footprint is nine tiles of 0.155 degrees (the survey's measure one degree), six near the place
of W4 and three near that of W1: 0.2 square degrees; three of them were observed with the new i
filter, and one lacks u, so no object comes from it.

Every spectroscopic survey of the paper but COSMOS2020 observes both fields, with selection limits
in magnitude and redshift after the paper's Table 1 and about twenty times as many redshifts per
area as there are in the survey, so that a small build needs few tiles; H and K limits stand as
limits in i, and shares, failures, flags of failed spectra and stars that slipped in are invented.

The photometric catalogue holds sources with i brighter than 25.4 and SDSS r brighter than 25.5, so
the reddest faint ones lack; images hold sources down to SDSS r = 25.5.

Every source is detected and deblended: magnitudes are the true totals plus noise, without the light
of neighbours and without faint false detections; flags but those of stars are drawn at random.

Galaxies are a de Vaucouleurs bulge and an exponential disk of five types, below redshift 3: no
arms, bars, knots, tails or mergers; galaxies, stars and quasars are placed independently, and the
few redshifts above 3 are wrong ones or of quasars.

The PSF is a round Moffat profile (exponent 2.5), one per tile and band; it does not depend on the
colour of the source.

Noise is normal with the variance of sky and photons; neighbouring pixels correlate by 0.1 in every
direction and no further; a pixel has the same noise in every cutout of its tile, and another one in
the next tile.

The sky is subtracted perfectly: no residual background, halos, scattered light, cosmic rays,
bleeding or satellites; stars do not saturate, and none is brighter than r = 13.

Masked pixels are squares of 9 arcsec at random in single bands, which one cutout in a hundred
shows; they are NaN.

Dust is a smooth field on the scale of Schlegel et al. 1998, and its E(B-V) is known exactly.

Images and catalogue share one calibration without errors, and nothing moves on the sky.
"""


def departures() -> tuple[str, ...]:
    """Return what a user must know before drawing conclusions from simulated CFHTLS cutouts.

    Returns
    -------
    tuple of str
        One sentence or a few each.
    """
    return tuple(" ".join(part.split()) for part in _DEPARTURES.strip().split("\n\n"))
