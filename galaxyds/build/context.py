"""What every stage of a build can see."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from galaxyds.archives.base import CatalogArchive, Source
from galaxyds.build.objects import ObjectList
from galaxyds.build.progress import LogReporter, Reporter
from galaxyds.build.workspace import Workspace
from galaxyds.errors import UsageError
from galaxyds.spec import Column, Config, Cut, DatasetSpec
from galaxyds.store.layout import build_path
from galaxyds.store.manifest import Selection, local_version

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True, kw_only=True)
class Options:
    """Choices of whoever builds.

    Attributes
    ----------
    selection : Selection
        Everything, a limited number of tiles, or a list of objects.
    align : str
        Band whose grid the others are resampled to, or ``none``.
    pushdown : bool
        Whether the archive applies the cuts that it can.
    drop_failed : bool
        Leave the objects of failed units out instead of stopping at the end.
    accept_counts : bool
        Go on where a count of a full build differs from the paper's.
    jobs : int
        Worker processes.
    """

    selection: Selection = field(default_factory=Selection)
    align: str = "r"
    pushdown: bool = True
    drop_failed: bool = False
    accept_counts: bool = False
    jobs: int = 1


@dataclass(frozen=True, kw_only=True)
class Context:
    """A build in progress.

    Attributes
    ----------
    spec : DatasetSpec
        The declaration, narrowed to ``config``.
    config : Config
        The config whose pixels are made.
    products : tuple of Config
        What is written: that config, those cropped from it, or one of them.
    archive : Source
        Where rows and pixels come from.
    options : Options
        Choices of whoever builds.
    workspace : Workspace
        Where stages leave their outputs.
    version : str
        With the local label.
    home : pathlib.Path
        Root of the builds.
    objects : ObjectList or None
        Objects that are built past the cuts.
    reporter : Reporter
        Hears of progress.
    executor : concurrent.futures.Executor or None
        Runs the units of work.
    """

    spec: DatasetSpec
    config: Config
    products: tuple[Config, ...]
    archive: Source
    options: Options
    workspace: Workspace
    version: str
    home: Path
    objects: ObjectList | None = None
    reporter: Reporter = field(default_factory=LogReporter)
    executor: Executor | None = None

    def destination(self, product: Config) -> Path:
        """Where a product is published."""
        return build_path(self.home, self.spec.name, product.name, self.version)

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of this build, in order."""
        return self.workspace.stages

    @property
    def catalog(self) -> CatalogArchive:
        """The archive, for its rows.

        Raises
        ------
        UsageError
            If it has none that can be asked for.
        """
        if not isinstance(self.archive, CatalogArchive):
            raise UsageError(f"{self.archive.name} is not a catalogue that can be asked")
        return self.archive

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Cuts in force: none for an object list."""
        return () if self.objects is not None else self.config.cuts

    def pushed(self) -> tuple[Cut, ...]:
        """Cuts that the archive applies."""
        return tuple(cut for cut in self.cuts if cut.pushdown and self.options.pushdown)

    def local(self) -> tuple[Cut, ...]:
        """Cuts that are applied here."""
        pushed = self.pushed()
        return tuple(cut for cut in self.cuts if cut not in pushed)

    def table_columns(self) -> tuple[Column, ...]:
        """Columns of the archive's rows."""
        return self.spec.queried_columns()


def version_of(
    spec: DatasetSpec, options: Options, *, simulated: bool = False, released: bool = False
) -> str:
    """Version of a build, with the local label that tells it from the published dataset.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset.
    options : Options
        Selection and alignment.
    simulated : bool
        Whether the sky was made by galaxyds.
    released : bool
        Whether the authors' own files are taken over.

    Returns
    -------
    str
        For example ``1.0.0+simulated.limit2000`` or ``1.0.0+unaligned``.
    """
    label = local_version(
        spec.version, simulated=simulated, released=released, selection=options.selection
    )
    if options.align == spec.pixels.reference_band:
        return label
    return f"{label}{'.' if '+' in label else '+'}{ALIGN_LABELS.get(options.align, options.align)}"


ALIGN_LABELS: dict[str, str] = {"none": "unaligned"}
ArchiveKind = Literal["remote", "simulated", "release"]
