"""HSC-Deep with CLAUDS and the near infrared: compiled redshifts, HSC cutouts, mosaics.

Rows come from many surveys of redshifts and the catalogue of PDR2's Deep and UltraDeep layers; the
five bands of HSC from its cutout service; u and the near infrared from mosaics on this machine.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import platformdirs
import pyarrow as pa

from galaxyds import settings
from galaxyds.archives.base import (
    CUTOUTS_ENDPOINT,
    NO_DATA,
    Cutout,
    CutoutObject,
    LocalFiles,
    Need,
    PointSpread,
)
from galaxyds.archives.cfhtls import dust_needs, own_files
from galaxyds.archives.compiled import Compiled, CompiledCatalog
from galaxyds.archives.deep_objects import objects
from galaxyds.archives.deep_photometry import HSC_BANDS, RERUN, TOGETHER, photometry
from galaxyds.archives.deep_pixels import MARGIN, assembled, side
from galaxyds.archives.dust import SFDMap
from galaxyds.archives.hsc import HSCCatalog
from galaxyds.archives.hsc_cutouts import HSCCutouts
from galaxyds.archives.hsc_jobs import HSCJobs
from galaxyds.archives.hsc_lists import list_objects
from galaxyds.archives.hsc_settings import ADVICE
from galaxyds.archives.mosaics import Mosaics, need, own_mosaics
from galaxyds.archives.redact import shown_url
from galaxyds.archives.redshifts import RedshiftSource
from galaxyds.archives.regions import Circle
from galaxyds.archives.vizier import VizieR
from galaxyds.catalog.specz import Reading, compile_redshifts, read_survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from galaxyds.archives.catalog import SQLCatalog

FIELDS = (
    Circle(150.12, 2.2, 2.0),  # COSMOS
    Circle(35.2, -4.7, 2.2),  # XMM-LSS
    Circle(242.6, 54.9, 2.0),  # ELAIS-N1
    Circle(352.1, -0.3, 2.2),  # DEEP2-3
)
"""Where redshifts are looked for: circles that hold the four fields with room to spare, from the
maps of the survey by eye; an object counts only where HSC and the mosaics have data."""


def within(reading: Reading, fields: Sequence[Circle]) -> Reading:
    """Leave out the redshifts beside the fields: a file may hold the whole sky.

    Parameters
    ----------
    reading : Reading
        Of any part of the sky.
    fields : sequence of Circle

    Returns
    -------
    Reading
        What was left out counts as outside of the limits (``insecure``); ``where`` says how many.
    """
    ra, dec = (reading.table.column(name).to_numpy() for name in ("ra", "dec"))
    inside = np.zeros(len(ra), bool)
    for field in fields:
        inside |= field.holds(ra, dec)
    beside = int((~inside).sum())
    if not beside:
        return reading
    return replace(
        reading, table=reading.table.filter(pa.array(inside)), insecure=reading.insecure + beside,
        where=f"{reading.where} ({beside:,} outside of the fields)",
    )  # fmt: skip


class DeepArchive(CompiledCatalog):
    """What the archive over the network and the simulated one share.

    Attributes
    ----------
    together : int
        Positions of one question to the catalogue of HSC.
    """

    together: ClassVar[int] = TOGETHER

    @abstractmethod
    def readings(self) -> Iterable[Reading]:
        """Read the tables of all surveys of redshifts."""

    @property
    @abstractmethod
    def photometric(self) -> SQLCatalog:
        """The catalogue of HSC."""

    def answers(self) -> Path | None:
        """Folder where answers of that catalogue are kept, if they are."""
        return None

    @property
    @abstractmethod
    def mosaics(self) -> Mosaics:
        """The mosaics of u and the near infrared."""

    @abstractmethod
    def reddening(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unscaled E(B-V) at positions in degrees, (n,)."""

    @abstractmethod
    def coadds(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield HSC's own cutouts, in order."""

    def _objects(self) -> Compiled:
        # What is missing on this machine should be said before anything is asked.
        mosaics = self.mosaics
        self.reddening(np.zeros(1), np.zeros(1))
        redshifts, tallies = compile_redshifts(self.readings())
        places = (redshifts.column(name).to_numpy() for name in ("ra", "dec"))
        found = photometry(self.photometric, *places, together=self.together, folder=self.answers())
        table = objects(redshifts, found, covering=mosaics.covering, ebv=self.reddening)
        return Compiled(table, tallies)

    def list_objects(self, bands: Sequence[str]) -> int:
        """Return how many objects, in the bands of HSC, fit into one request."""
        return list_objects([band for band in bands if band in HSC_BANDS])

    def cutouts(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield one cutout per object, in order, all bands on HSC's own pixels.

        Parameters
        ----------
        objects : sequence of CutoutObject
            The first part of their tile is the tract.
        bands : sequence of str
            Of u, g, r, i, z, y, J, H, Ks.
        half_size : float
            Half the width in arcseconds.

        Yields
        ------
        Cutout
            Counts of zero point 27.0; as :func:`galaxyds.archives.deep_pixels.assembled`.

        Raises
        ------
        ArchiveError
            If the service fails for good.
        CredentialsError
            If it does not accept the account.
        DataIntegrityError
            If an answer breaks the protocol, or a mosaic cannot be used.
        UsageError
            If there are no mosaics.
        """
        own = [band for band in bands if band in HSC_BANDS]
        mosaics, size = self.mosaics, side(half_size)
        found = self.coadds(objects, own, half_size=half_size + MARGIN)
        for one, cutout in zip(objects, found, strict=True):
            yield assembled(cutout, one, bands, mosaics=mosaics, size=size)

    def point_spreads(
        self, objects: Sequence[CutoutObject], bands: Sequence[str]
    ) -> Iterator[PointSpread]:
        """Yield nothing but absences: mosaics bring no point-spread functions."""
        for one in objects:
            yield PointSpread(
                object_id=one.object_id, images={}, missing=dict.fromkeys(bands, NO_DATA)
            )


class HSCDeepArchive(DeepArchive):
    """HSC-Deep over the network and from folders of files.

    Can be pickled: the account is not part of it, and mosaics are opened where they are used.

    Parameters
    ----------
    local : LocalFiles
        Folders of mosaics, and of redshifts.

    Raises
    ------
    UsageError
        If a setting is wrong.
    """

    name = "hsc-deep"

    def __init__(self, local: LocalFiles | None = None) -> None:
        super().__init__(service="the compiled catalogue of HSC-Deep")
        self.local = local or LocalFiles()
        self._jobs = HSCJobs()
        self._cutouts = HSCCutouts(rerun=RERUN)
        self._redshifts = RedshiftSource(VizieR(), self.local.redshifts, FIELDS)
        self._dust = SFDMap()
        self._mosaics: Mosaics | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_mosaics": None}

    def readings(self) -> Iterable[Reading]:
        """Read the tables of all surveys that are at VizieR or in the folder."""
        for survey, raw, where in self._redshifts.tables():
            yield within(read_survey(raw, survey, where=where), FIELDS)

    @property
    def photometric(self) -> SQLCatalog:
        """The catalogue of PDR2, over jobs."""
        return HSCCatalog(self._jobs, service="HSC catalogue")

    def answers(self) -> Path:
        """Folder of answers, by the address that gave them."""
        name = hashlib.blake2b(self._jobs.base.encode(), digest_size=8).hexdigest()
        return Path(platformdirs.user_cache_dir("galaxyds")) / "hsc-deep" / name

    @property
    def mosaics(self) -> Mosaics:
        """The mosaics of the folder, opened at the first use."""
        if self._mosaics is None:
            self._mosaics = Mosaics.of(self.local.mosaics)
        return self._mosaics

    def reddening(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unscaled E(B-V) of the map."""
        return self._dust.ebv(ra, dec)

    def coadds(
        self, objects: Sequence[CutoutObject], bands: Sequence[str], *, half_size: float
    ) -> Iterator[Cutout]:
        """Yield the cutouts of the service, in order."""
        return self._cutouts.cutouts(objects, bands, half_size=half_size)

    def cutout_bytes(self, bands: Sequence[str], *, half_size: float) -> int:
        """Bytes to transfer per object, estimated: those of HSC."""
        own = [band for band in bands if band in HSC_BANDS]
        return self._cutouts.cutout_bytes(own, half_size=half_size + MARGIN)

    def endpoints(self) -> dict[str, str]:
        """Addresses in use, by service; files of one's own by name and content."""
        used = {
            "catalog": shown_url(self._jobs.base),
            CUTOUTS_ENDPOINT: shown_url(self._cutouts.url),
            **VizieR().endpoints(),
        }
        if self.local.redshifts is not None:
            used["redshift files"] = own_files(self.local.redshifts)
        if self.local.mosaics is not None:
            used["mosaic files"] = own_mosaics(self.local.mosaics)
        return used

    def needs(self) -> tuple[Need, ...]:
        """An account of the survey, mosaics, and the dust maps with what reads them."""
        account = Need("an HSC-SSP account", settings.has_credentials("HSC"), ADVICE, True)
        return (account, need(self.local.mosaics), *dust_needs())
