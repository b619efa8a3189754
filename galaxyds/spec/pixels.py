"""How pixels are obtained and laid out, and the variants and published files of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from galaxyds.spec.words import Column, Cut, PublishedCount


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """How pixels are obtained and laid out.

    Attributes
    ----------
    protocol : str
        ``frames`` (the frames of an object's own tile are cut here), ``stacks`` (all frames that
        cover an object are resampled to a grid of its own and combined) or ``cutouts`` (the archive
        cuts).
    size : int
        Rows and columns of a cutout.
    scale : float
        Arcseconds per pixel.
    reference_band : str
        Band whose pixel grid the others are resampled to when ``align`` is that band; for cutouts
        the band whose position is recorded.
    tile : tuple of str
        Columns that name the unit of work (an SDSS field: run, camcol, field).
    row, column : str
        Columns with the object's approximate 0-based pixel row and column in the tile.
    tile_rows : int
        Rows of a frame, for protocols that deliver frames.
    half_size : float
        Arcseconds from the object to the edge of a cutout, for archives that cut.
    off_centre : float
        Most pixels by which an object may stand off pixel (N-1)/2, in each direction.
    psf_size : int
        Rows and columns of the point-spread functions that are fetched too; 0 for none.
    kernel, combine : str
        For stacks: how a frame is resampled (``lanczos3``, ``bilinear``) and how several are
        combined (``clipped``, ``mean``, ``median``, ``weighted``); see :mod:`galaxyds.pixels`.
    """

    protocol: str
    size: int
    scale: float
    reference_band: str
    tile: tuple[str, ...]
    row: str = ""
    column: str = ""
    tile_rows: int = 0
    half_size: float = 0.0
    off_centre: float = 0.5
    psf_size: int = 0
    kernel: str = ""
    combine: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A variant of a dataset: its cuts, its published counts, and what differs in its pixels.

    Attributes
    ----------
    name, description : str
        Short name, and one line.
    cuts : tuple of Cut
        In order.
    published : tuple of PublishedCount
        The first counts the objects of a build.
    size : int
        Rows and columns of a cutout; 0 for that of :class:`Pixels`.
    cropped_from : str
        Config of the same objects whose cutouts hold these in their middle: both are built from one
        download.
    bands : tuple of str
        Names of its bands, in order; empty for all of the dataset.
    """

    name: str
    description: str
    cuts: tuple[Cut, ...]
    published: tuple[PublishedCount, ...]
    size: int = 0
    cropped_from: str = ""
    bands: tuple[str, ...] = ()

    @property
    def published_total(self) -> int:
        """Published number of objects of this config."""
        return self.published[0].count


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedFiles:
    """Files in which the authors published the dataset.

    Attributes
    ----------
    service, record : str
        Where they are (``zenodo``, ``deepdip``), and under which number.
    layout : str
        How they are laid out (``galaxiesml``, ``p19``).
    pattern : str
        File name with ``{size}`` and ``{split}``.
    splits : tuple of (str, str, int)
        Our name of a split, theirs, and the published number of rows; empty where one file holds
        all objects, and the splits are drawn here.
    names : tuple of (str, str)
        Our name of a column and theirs, where they differ.
    source : str
        Where the paper says so.
    rows : int
        Published number of cutouts, where they are more than the objects.
    """

    service: str
    record: str
    layout: str
    pattern: str
    splits: tuple[tuple[str, str, int], ...]
    names: tuple[tuple[str, str], ...]
    source: str
    rows: int = 0

    def files(self, size: int) -> dict[str, str]:
        """File names of a config by our name of the split; ``all`` where one file holds them."""
        if not self.splits:
            return {"all": self.pattern.format(size=size, split="")}
        return {ours: self.pattern.format(size=size, split=name) for ours, name, _ in self.splits}


CUTOUT_COLUMNS = (
    Column(
        name="cutout_x",
        dtype="float32",
        unit="pix",
        nullable=True,
        description="0-based column of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_y",
        dtype="float32",
        unit="pix",
        nullable=True,
        description="0-based row of the object in the cutout of the reference band",
    ),
    Column(
        name="cutout_flags",
        dtype="int32",
        nullable=True,
        sentinel=-1,
        description="bit mask on the making of the cutout, 0 = complete",
    ),
)
"""Columns that the making of a cutout adds; missing where published files lack them."""

BAND_MASK = Column(
    name="band_mask",
    dtype="int16",
    description="bit mask of the bands, in the order of the image axis, that have data; the pixels "
    "of the others are zeros and no measurement",
)
"""Column of datasets with optional bands."""
