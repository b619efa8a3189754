"""From an address to a published dataset: the order of stages, locks, logs and the summary."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from galaxyds import settings
from galaxyds.archives.base import LocalFiles, Need
from galaxyds.archives.redact import REDACTION
from galaxyds.build.archives import RELEASE, SIMULATED, open_archive
from galaxyds.build.context import Context, Options, version_of
from galaxyds.build.objects import ObjectList, read_object_list
from galaxyds.build.progress import LogReporter, Reporter
from galaxyds.build.publication import DATASET, written_products
from galaxyds.build.stages import STAGES
from galaxyds.build.workspace import Workspace
from galaxyds.errors import (
    CredentialsError,
    DataIntegrityError,
    MissingExtraError,
    ResumeConflictError,
    UsageError,
    storage_error,
)
from galaxyds.refs import DatasetRef, to_snake
from galaxyds.spec import Config, DatasetSpec
from galaxyds.specs import get_spec
from galaxyds.store import Manifest, Selection, read_manifest
from galaxyds.store.files import is_temporary, move_into_place
from galaxyds.store.layout import MANIFEST, WORK, BuildDirectory

RELEASE_STAGES = ("fetch", "write", "verify")
"""Stages of a build from the authors' own files."""
BULKY = ("cutouts", "morphology", "fetch")
"""Stages whose files are given up when the dataset is published."""
LOG = logging.getLogger("galaxyds.build")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a build ended with.

    Attributes
    ----------
    path : pathlib.Path
        The published dataset (of several configs, that of the first).
    manifest : Manifest
        Its manifest.
    built : tuple of BuildDirectory
        All configs that were built together.
    stages : tuple of str
        Stages of the build.
    skipped : tuple of str
        Those that were finished before.
    seconds : float
        Wall time.
    log : pathlib.Path
        The build's log file.
    """

    path: Path
    manifest: Manifest
    built: tuple[BuildDirectory, ...]
    stages: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float
    log: Path


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to build.

    Attributes
    ----------
    address : str
        ``name[/config][:version]``.
    archive : str
        ``remote``, ``simulated`` or ``release``.
    root : path-like or None
        Data home; None means the setting.
    limit : int or None
        At least this many objects, in whole tiles.
    objects : pathlib.Path or None
        A list of objects, built past the cuts.
    align : str or None
        Band to align to, ``none``, or None for the dataset's own choice.
    pushdown : bool
        Whether the archive applies the cuts.
    drop_failed : bool
        Leave the objects of failed units out.
    accept_counts : bool
        Go on where a count of a full build differs from the paper's.
    jobs : int or None
        Worker processes; None means one per core, at most 8.
    mosaics, redshifts : pathlib.Path or None
        Folders of files that whoever builds has brought along; see
        :class:`galaxyds.archives.base.LocalFiles`.
    """

    address: str
    archive: str = "remote"
    root: str | os.PathLike[str] | None = None
    limit: int | None = None
    objects: Path | None = None
    align: str | None = None
    pushdown: bool = True
    drop_failed: bool = False
    accept_counts: bool = False
    jobs: int | None = None
    mosaics: Path | None = None
    redshifts: Path | None = None


def build(
    request: Request,
    *,
    start: str | None = None,
    reporter: Reporter | None = None,
    executor: Executor | None = None,
) -> Summary:
    """Build a dataset, or finish a build that was interrupted.

    Parameters
    ----------
    request : Request
        What to build.
    start : str, optional
        Rerun from this stage.
    reporter : Reporter, optional
        Hears of progress; the log does in any case.
    executor : concurrent.futures.Executor, optional
        Runs the units of work; by default a process pool of ``request.jobs``.

    Returns
    -------
    Summary
        Where the dataset is, and its manifest.

    Raises
    ------
    GalaxydsError
        One of the errors of :mod:`galaxyds.errors`; what was finished is kept.
    """
    begun = time.monotonic()
    if request.archive == RELEASE and (addresses := _apart(request.address)):
        parts = [
            build(replace(request, address=one), start=start, reporter=reporter, executor=executor)
            for one in addresses
        ]
        return _together(parts, seconds=time.monotonic() - begun)
    context = open_context(request, reporter=reporter, executor=executor)
    check_needs(context)
    context.workspace.create()
    with _locked(context.workspace), _logged(context) as log:
        context.workspace.recover()
        for product in context.products:
            _sweep(context.destination(product))
        if start is not None:
            context.workspace.restart_from(start)
        else:
            _redo(context)
        skipped = tuple(run_stages(context))
        built = tuple(_published(context, product) for product in context.products)
        return Summary(
            path=built[0].path,
            manifest=built[0].manifest,
            built=built,
            stages=context.stages,
            skipped=skipped,
            seconds=time.monotonic() - begun,
            log=log,
        )


def _apart(address: str) -> tuple[str, ...]:
    """Addresses of the configs that published files hold each in files of its own."""
    ref = DatasetRef.parse(address)
    spec = get_spec(ref.name)
    if ref.config is not None or spec.files is None or len(spec.family()) == 1:
        return ()
    version = f":{ref.version}" if ref.version else ""
    return tuple(f"{spec.name}/{config.name}{version}" for config in spec.family())


def _together(parts: Sequence[Summary], *, seconds: float) -> Summary:
    """Sum up builds that were made one after the other."""
    return replace(
        parts[0],
        built=tuple(build for part in parts for build in part.built),
        stages=tuple(stage for part in parts for stage in part.stages),
        skipped=tuple(stage for part in parts for stage in part.skipped),
        seconds=seconds,
    )


def _redo(context: Context) -> None:
    """Forget finished stages where a product is neither published nor written."""
    absent = [p for p in context.products if not context.destination(p).exists()]
    if not absent:
        return
    context.workspace.forget_released()
    written = context.workspace.path("write") / DATASET
    if written.exists() and not all((written / product.name).exists() for product in absent):
        context.workspace.restart_from("write")


def open_context(
    request: Request, *, reporter: Reporter | None = None, executor: Executor | None = None
) -> Context:
    """Turn a request into a context; sends nothing and writes nothing.

    Raises
    ------
    UsageError
        If the request contradicts itself or the dataset.
    DatasetNotFoundError
        If there is no such dataset or version.
    """
    ref = DatasetRef.parse(request.address)
    spec = get_spec(ref.name)
    if ref.version not in (None, spec.version):
        raise UsageError(
            f"{spec.name} {ref.version} cannot be built: this galaxyds builds {spec.version}; "
            f"write {spec.name} without a version"
        )
    released = request.archive == RELEASE
    family = spec.family(ref.config)
    if released and ref.config is not None:
        family = (spec.config(ref.config),)  # its files are its own
    local = LocalFiles(mosaics=request.mosaics, redshifts=request.redshifts)
    archive = open_archive(spec, request.archive, local=local)
    if released and (request.limit is not None or request.objects is not None):
        raise UsageError("published files are taken over whole: leave --limit and --objects out")
    selection, objects = _selection(request)
    options = Options(
        selection=selection,
        align=_alignment(spec, request.align),
        pushdown=request.pushdown,
        drop_failed=request.drop_failed,
        accept_counts=request.accept_counts,
        jobs=request.jobs or min(os.cpu_count() or 1, 8),
    )
    simulated = archive.name == SIMULATED
    version = version_of(spec, options, simulated=simulated, released=released)
    home = settings.home(request.root)
    work = home / WORK / to_snake(spec.name) / family[0].name / version
    return Context(
        spec=spec.of(family[0].name),
        config=family[0],
        products=family if ref.config is None else (spec.config(ref.config),),
        archive=archive,
        options=options,
        workspace=Workspace(work, RELEASE_STAGES if released else spec.stages),
        version=version,
        home=home,
        objects=objects,
        reporter=reporter or LogReporter(),
        executor=executor,
    )


def run_stages(context: Context) -> Iterator[str]:
    """Run what is not finished; yield the names of stages that were skipped."""
    outdated = False
    for name in context.stages:
        stage = STAGES[name]
        inputs = stage.inputs(context)
        if context.workspace.is_done(name, inputs, outdated=outdated):
            context.reporter.stage(name, "skipped", "finished before")
            yield name
            continue
        outdated = True
        context.reporter.stage(name, "started")
        with context.workspace.running(name, inputs, keep=stage.keep) as folder:
            detail = stage.run(context, folder)
        context.reporter.stage(name, "done", detail)
        LOG.info("%s: %s", name, detail)
    if context.workspace.holds_files("write"):
        publish(context)
    for name in BULKY:
        if name in context.stages and context.workspace.holds_files(name):
            context.workspace.release(name)


def _published(context: Context, product: Config) -> BuildDirectory:
    """Read the published build, of this declaration, its files there and of the right size."""
    folder = context.destination(product)
    first = next(name for name in context.stages if name in BULKY)
    again = f"run the same command with --from {first} to make it again"
    try:
        manifest = read_manifest(folder / MANIFEST)
    except DataIntegrityError as error:
        raise DataIntegrityError(
            f"{folder} is damaged, its manifest cannot be read: {again}", **error.values
        ) from error
    now = context.spec.digest(product.name)
    if manifest.spec_digest != now:
        raise ResumeConflictError(
            f"{folder} was built from another declaration of {context.spec.name} than the one that "
            f"is installed now: {again}, or raise the version in the declaration",
            differences={"spec_digest": (manifest.spec_digest, now)},
        )
    for name, record in manifest.files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else -1
        if size != record.bytes:
            got = "it is missing" if size < 0 else f"it has {size} bytes"
            raise DataIntegrityError(
                f"{path} is damaged, expected {record.bytes} bytes, {got}: {again}",
                file=str(path),
                expected=record.bytes,
                got=size,
            )
    return BuildDirectory(path=folder, manifest=manifest)


def _sweep(target: Path) -> None:
    """Remove what a killed replacement of this build left beside it."""
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        if is_temporary(leftover):
            shutil.rmtree(leftover, ignore_errors=True)


def publish(context: Context) -> None:
    """Rename the verified files into place.

    An existing build of the same version is replaced as a whole: who mapped its files keeps them.
    """
    for product in written_products(context):  # without those that a killed run has renamed
        target = context.destination(product)
        target.parent.mkdir(parents=True, exist_ok=True)
        written = context.workspace.path("write") / DATASET / product.name
        move_into_place(written, target, replace=True)
        LOG.info("published %s", target)
    context.workspace.release("write")


def check_needs(context: Context) -> None:
    """Refuse to begin without the accounts and packages that the archive and the stages need.

    Raises
    ------
    CredentialsError
        If an account is missing: where to register and what to set.
    MissingExtraError
        If a package is missing: what to install.
    """
    for who, need in needs_of(context):
        if not need.present:
            kind = CredentialsError if need.is_account else MissingExtraError
            raise kind(f"{who} needs {need.what}: {need.advice}", need=need.what)


def needs_of(context: Context) -> Iterator[tuple[str, Need]]:
    """Yield what a build needs before it can work, and who needs it."""
    for need in context.archive.needs():
        yield context.archive.name, need
    for name in context.stages:
        for package, extra in STAGES[name].packages:
            yield (
                f"the stage '{name}'",
                Need(
                    what=package,
                    present=find_spec(package) is not None,
                    advice=f"pip install 'galaxyds[{extra}]'",
                ),
            )


def _alignment(spec: DatasetSpec, align: str | None) -> str:
    if align is not None and spec.pixels.protocol != "frames":
        raise UsageError(f"{spec.name} has one grid for all bands: leave --align out")
    known = ("none", *spec.band_names())
    chosen = align or spec.pixels.reference_band
    if chosen not in known:
        raise UsageError(f"cannot align to '{align}': one of {', '.join(known)}")
    if chosen not in ("none", spec.pixels.reference_band):
        raise UsageError(
            f"{spec.name} is defined on the {spec.pixels.reference_band}-band grid: "
            f"--align {spec.pixels.reference_band} or --align none"
        )
    return chosen


def _selection(request: Request) -> tuple[Selection, ObjectList | None]:
    if request.objects is not None:
        if request.limit is not None:
            raise UsageError("--limit and --objects exclude each other: shorten the list instead")
        wanted = read_object_list(request.objects)
        selection = Selection(kind="objects", objects=wanted.name, objects_sha256=wanted.sha256)
        return selection, wanted
    if request.limit is None:
        return Selection(), None
    if request.limit < 1:
        raise UsageError(f"--limit must be at least 1, got {request.limit}")
    return Selection(kind="limit", limit=request.limit), None


@contextmanager
def _locked(workspace: Workspace) -> Iterator[None]:
    """One builder at a time; a second one waits and then finds everything done."""
    from filelock import FileLock, Timeout

    lock = FileLock(workspace.directory / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        LOG.warning("another process builds in %s: waiting for it", workspace.directory)
        lock.acquire()
    except OSError as error:
        raise storage_error(error, workspace.directory) from error
    try:
        yield
    finally:
        lock.release()


class _BuildLog(logging.FileHandler):
    """A log file that keeps quiet where the disk is full: the stage that meets it says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop what cannot be written."""

    def close(self) -> None:
        """Close the file, whatever of it could be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def _logged(context: Context) -> Iterator[Path]:
    """Append to the build's own log file, credentials blanked out."""
    path = context.workspace.directory / "build.log"
    try:
        handler = _BuildLog(path, encoding="utf-8")
    except OSError as error:
        raise storage_error(error, path) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(REDACTION)
    logger = logging.getLogger("galaxyds")
    level = logger.level
    logger.addHandler(handler)
    if level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    LOG.info("%s/%s %s from %s", context.spec.name, context.config.name, context.version,
             context.archive.name)  # fmt: skip
    try:
        yield path
    except BaseException as error:
        # At INFO: whoever called shows the error itself.
        LOG.info("stopped: %s: %s", type(error).__name__, error)
        raise
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()
