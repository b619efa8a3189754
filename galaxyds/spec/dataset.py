"""A dataset's whole declaration."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from galaxyds.errors import UsageError, did_you_mean
from galaxyds.spec.pixels import BAND_MASK, CUTOUT_COLUMNS, Config, Pixels, PublishedFiles
from galaxyds.spec.splits import Split
from galaxyds.spec.words import (
    Band,
    Citation,
    Column,
    Deduplication,
    Erratum,
    Flag,
    Licence,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """The declaration of a dataset.

    Attributes
    ----------
    name, title, summary, version : str
        Kebab-case name, a title, two or three sentences, ``MAJOR.MINOR.PATCH``.
    release_notes : dict of str to str
        One line per version.
    archive, data_release : str
        Name of the archive module, and the survey's data release.
    tables : str
        The FROM clause at the archive.
    key : str
        Column that is unique per returned row (a spectrum); pages are cut along it.
    object_id : str
        Column that identifies an object in the built dataset.
    bands, columns, configs : tuple
        In order; the first config is the default.
    base : str
        Predicate that holds for every row and where counts start; empty for the whole catalogue.
    duplicates : tuple of Deduplication
        Rules for repeats, in the order in which they are applied.
    split, pixels
        The rules for divisions and cutouts.
    measured : tuple of Column
        Columns that stages make from the pixels.
    files : PublishedFiles or None
        The authors' own files, if there are any.
    flags : tuple of Flag
        Bits of ``cutout_flags``.
    stages : tuple of str
        Build stages in order.
    paper, errata, citations, licence
        Where it comes from.

    Raises
    ------
    UsageError
        If a cut, a rule or an extra split names a column that is not declared.
    """

    name: str
    title: str
    summary: str
    version: str
    release_notes: dict[str, str] = field(hash=False)
    archive: str
    data_release: str
    tables: str
    key: str
    object_id: str
    bands: tuple[Band, ...]
    columns: tuple[Column, ...]
    configs: tuple[Config, ...]
    duplicates: tuple[Deduplication, ...]
    split: Split
    pixels: Pixels
    flags: tuple[Flag, ...]
    stages: tuple[str, ...]
    paper: str
    errata: tuple[Erratum, ...]
    citations: tuple[Citation, ...]
    licence: Licence
    base: str = ""
    measured: tuple[Column, ...] = ()
    files: PublishedFiles | None = None

    def __post_init__(self) -> None:
        declared = {column.name for column in self.columns}
        wanted = {self.key, self.object_id, *self.pixels.tile}
        wanted |= {rule.key for rule in self.duplicates if rule.key}
        names = (self.pixels.row, self.pixels.column, self.split.key)
        wanted |= {name for name in names if name}
        if missing := wanted - declared:
            raise UsageError(f"{self.name}: undeclared columns {sorted(missing)}")
        cuts = ((f"cut {cut.name}", cut.names()) for config in self.configs for cut in config.cuts)
        extra = ((f"split {one.name}", one.names()) for one in self.split.extra)
        for what, words in (*cuts, *extra):
            if not words & declared:
                raise UsageError(f"{self.name}: {what} names no declared column")
            if strangers := {word for word in words if "_" in word} - declared:
                raise UsageError(f"{self.name}: {what} names undeclared {sorted(strangers)}")
        if self.version not in self.release_notes:
            raise UsageError(f"{self.name}: version {self.version} has no release note")

    def config(self, name: str | None = None) -> Config:
        """Return the config of that name, or the default one.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        if name is None:
            return self.configs[0]
        for config in self.configs:
            if config.name == name:
                return config
        known = [config.name for config in self.configs]
        raise UsageError(
            f"{self.name} has no config '{name}': {did_you_mean(name, known)}it has: "
            f"{', '.join(known)}",
            config=name,
        )

    def family(self, name: str | None = None) -> tuple[Config, ...]:
        """Return the config that is downloaded for a config, and those cropped from it.

        Parameters
        ----------
        name : str, optional
            The config; the default one if None.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        config = self.config(name)
        root = self.config(config.cropped_from) if config.cropped_from else config
        return (root, *(c for c in self.configs if c.cropped_from == root.name))

    def of(self, config: str) -> DatasetSpec:
        """Return the declaration narrowed to a config: its bands, and the size of its cutouts.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        chosen = self.config(config)
        size = chosen.size or self.pixels.size
        bands = tuple(b for b in self.bands if not chosen.bands or b.name in chosen.bands)
        if size == self.pixels.size and bands == self.bands:
            return self
        return replace(self, bands=bands, pixels=replace(self.pixels, size=size))

    def column(self, name: str) -> Column:
        """Return the column of that name or alias (those of the splits included).

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        for column in self.stored_columns():
            if name in (column.name, *column.aliases):
                return column
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"{self.name} has no column '{name}'", column=name)

    def queried_columns(self) -> tuple[Column, ...]:
        """Columns that the archive is asked for."""
        return tuple(column for column in self.columns if column.archive)

    def tested_columns(self) -> tuple[str, ...]:
        """Names of the queried columns that a cut of any config tests."""
        words = frozenset[str]().union(*(cut.names() for c in self.configs for cut in c.cuts))
        return tuple(column.name for column in self.queried_columns() if column.name in words)

    def stored_columns(self) -> tuple[Column, ...]:
        """Columns of the built dataset: queried and derived, of the cutouts, of the splits."""
        kept = (column for column in self.columns if column.stored)
        masks = (BAND_MASK,) if self.has_optional_bands() else ()
        return (*kept, *CUTOUT_COLUMNS, *masks, *self.measured, *self.split.columns())

    def has_optional_bands(self) -> bool:
        """Whether objects may lack a band."""
        return any(band.optional for band in self.bands)

    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the image axis."""
        return tuple(band.name for band in self.bands)

    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one cutout: bands, rows, columns."""
        return len(self.bands), self.pixels.size, self.pixels.size

    def digest(self, config: str) -> str:
        """Sha256 over what decides the bytes of a build of ``config``.

        Prose (summary, reasons, citations, errata) is left out: mending a sentence does not make
        finished stages stale.
        """
        chosen = self.config(config)
        relevant: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "tables": self.tables,
            "key": self.key,
            "object_id": self.object_id,
            "bands": [asdict(band) for band in self.of(config).bands],
            "columns": [
                {k: v for k, v in asdict(c).items() if k != "description"}
                for c in (*self.columns, *self.measured)
            ],
            "base": self.base,
            "cuts": [(cut.name, cut.sql, cut.pushdown) for cut in chosen.cuts],
            "duplicates": [(rule.what, rule.order) for rule in self.duplicates],
            "split": self.split.rule(),
            "pixels": asdict(self.of(config).pixels),
        }
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
