"""Pictures: cutouts, contact sheets, predicted against true redshift; arrays in, figures out.

Drawing needs matplotlib (``galaxyds[plots]``), which is imported when the first figure is made.
"""

from galaxyds.plots.cutouts import Ellipses, contact_sheet, plot_cutout
from galaxyds.plots.figure import figure_class, save
from galaxyds.plots.redshifts import plot_redshifts
from galaxyds.plots.stretch import asinh_stretch, color_composite, limits

__all__ = [
    "Ellipses",
    "asinh_stretch",
    "color_composite",
    "contact_sheet",
    "figure_class",
    "limits",
    "plot_cutout",
    "plot_redshifts",
    "save",
]
