"""The dataset card: generated from spec and manifest, never typed.

The YAML head is written as JSON scalars (JSON is YAML), and every text that could come from
outside is escaped: a server's warning or a file name is shown, not rendered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from galaxyds.shown import visible, visible_lines

if TYPE_CHECKING:
    from galaxyds.spec import DatasetSpec
    from galaxyds.store.manifest import Manifest

_MARKUP = re.compile(r"([\\`*_{}\[\]|~$]|^[-+#])")
_LONGEST_CODE = 100_000
_HUB_LICENCES = ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "bsd-3-clause", "mit")


class Size(Protocol):
    """Rows and bytes of a split."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def bytes(self) -> int:
        """Bytes in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One build of a card.

    Attributes
    ----------
    spec : DatasetSpec
        Narrowed to the build's config.
    manifest : Manifest
        Counts, cut flow, what kind of build it is.
    features : mapping
        Of the hub's rows, as :func:`galaxyds.publish.hub.hub_features` gives them.
    sizes : mapping of str to SplitSize
        By split; splits without objects are left out.
    """

    spec: DatasetSpec
    manifest: Manifest
    features: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, Size]


def render_card(parts: Sequence[Part], *, repository: str = "PATH_OR_ID") -> str:
    """Write the card of one build, or of several configs of a dataset.

    Parameters
    ----------
    parts : sequence of Part
        Builds of one dataset, one per config; the first is the default config.
    repository : str
        What ``load_dataset`` is given.

    Returns
    -------
    str
        Markdown with a YAML head.
    """
    spec = parts[0].spec
    unlike = list(_unlike(parts, lambda part: part.spec.stored_columns()))
    sections = (
        _head(parts),
        _title(parts),
        *(_named(_contents(part), part, parts) for part in parts),
        _usage(parts, repository),
        *(
            _named(make(part), part, parts)
            for make in (_provenance, _surveys, _cut_flow)
            for part in parts
        ),
        *(_named(_columns(part.spec), part, unlike) for part in unlike),
        flags_section(spec),
        *(_named(_bands(part.spec, part.manifest), part, parts) for part in parts),
        _errata(spec),
        terms_section(spec),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def _named(section: list[str], part: Part, parts: Sequence[Part]) -> list[str]:
    """Say in a section's heading which config it is about, if there are several."""
    if not section or len(parts) == 1:
        return section
    return [f"{section[0]}, config {code(part.manifest.config)}", *section[1:]]


def _unlike(parts: Sequence[Part], key: Callable[[Part], object]) -> Iterator[Part]:
    """Yield the parts whose key no earlier part has."""
    seen: list[object] = []
    for part in parts:
        if key(part) not in seen:
            seen.append(key(part))
            yield part


def text(value: str, limit: int = 600) -> str:
    """Show foreign text as it is: one line, markup and HTML off."""
    flat = visible(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", flat)


def code(value: str, *, limit: int = 2000) -> str:
    """Show foreign text as one span of code, for a sentence or (with pipes escaped) a table."""
    flat = visible(value, limit).replace("|", "\\|").replace("`", "'")
    return f"`{flat}`" if flat else ""


def code_block(value: str, language: str) -> list[str]:
    """Show lines of foreign text as a block of code that they cannot leave."""
    return [f"```{language}", *visible_lines(value.replace("`", "'"), _LONGEST_CODE), "```"]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; cells are taken as they are."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"


def _quote(value: str) -> str:
    return json.dumps(visible(value), ensure_ascii=False)


def _head(parts: Sequence[Part]) -> list[str]:
    spec = parts[0].spec
    spdx = spec.licence.spdx.lower()
    known = spdx in _HUB_LICENCES
    return [
        "---",
        f"license: {spdx if known else 'other'}",
        *([] if known else [f"license_name: {_quote(spec.licence.name)}"]),
        f"pretty_name: {_quote(spec.title)}",
        'tags: ["astronomy", "photometric-redshift", "images"]',
        "configs:",
        *(line for part in parts for line in _config_head(part, default=part is parts[0])),
        "dataset_info:",
        *(line for part in parts for line in _info_head(part)),
        "---",
    ]


def _config_head(part: Part, *, default: bool) -> Iterator[str]:
    yield f"- config_name: {_quote(part.manifest.config)}"
    # A hub version has three numbers; the local label stands in the text below.
    yield f"  version: {_quote(part.manifest.public_version)}"
    if default:
        yield "  default: true"
    yield "  data_files:"
    for split in part.sizes:
        path = _quote(f"{part.manifest.config}/{split}-*.parquet")
        yield f"  - {{split: {split}, path: {path}}}"


def _info_head(part: Part) -> Iterator[str]:
    yield f"- config_name: {_quote(part.manifest.config)}"
    yield "  features:"
    for name, feature in part.features.items():
        yield _feature(name, feature)
    yield "  splits:"
    for split, size in part.sizes.items():
        yield f"  - {{name: {split}, num_bytes: {size.bytes}, num_examples: {size.rows}}}"
    yield f"  dataset_size: {sum(size.bytes for size in part.sizes.values())}"


def _feature(name: str, feature: Mapping[str, Any]) -> str:
    if feature["_type"] == "Value":
        return f"  - {{name: {_quote(name)}, dtype: {feature['dtype']}}}"
    shape = ", ".join(str(length) for length in feature["shape"])
    inner = f"{{shape: [{shape}], dtype: {feature['dtype']}}}"
    return f"  - {{name: {_quote(name)}, dtype: {{array3_d: {inner}}}}}"


def _title(parts: Sequence[Part]) -> list[str]:
    spec = parts[0].spec
    lines = [f"# {text(spec.title)}", "", text(spec.summary, 2000)]
    for part in (part for part in parts if not part.manifest.is_full):
        which = "" if len(parts) == 1 else f" of config {code(part.manifest.config)}"
        nature = f"{text(part.manifest.nature())}, {part.manifest.rows:,} objects"
        version = text(part.manifest.version)
        lines += ["", f"> **This is not the full dataset{which}.** Version {version}: {nature}."]
    if simulated := [part.manifest for part in parts if part.manifest.archive.simulated]:
        departures = dict.fromkeys(one for manifest in simulated for one in manifest.departures)
        lines += [
            ">",
            "> **The pixels and the catalogue are simulated. Nothing here was observed.**",
            *(f"> - {text(departure)}" for departure in departures),
        ]
    return lines


def _contents(part: Part) -> list[str]:
    spec, manifest, sizes = part.spec, part.manifest, part.sizes
    bands, rows, columns = spec.image_shape()
    what = (
        f"{manifest.rows:,} objects, each with a cutout of {bands} bands "
        f"({', '.join(spec.band_names())}) x {rows} x {columns} pixels of "
        f"{spec.pixels.scale} arcsec, float32. Config {code(manifest.config)}: "
        f"{text(spec.config(manifest.config).description)}."
    )
    return [
        "## Contents",
        "",
        what,
        "",
        *table(("split", "objects"), ((split, f"{size.rows:,}") for split, size in sizes.items())),
        "",
        f"These are the splits of {'fold' if spec.split.folds else 'division'} 0 of "
        f"{spec.split.divisions}; the columns "
        + ", ".join(code(column.name) for column in spec.split.columns())
        + " hold all of them.",
        *(
            f"- {code(extra.name)}: {text(extra.why)} ({text(extra.source)})"
            for extra in spec.split.extra
        ),
    ]


def _usage(parts: Sequence[Part], repository: str) -> list[str]:
    spec, manifest = parts[0].spec, parts[0].manifest
    missing = (
        "A missing float is NaN; a missing integer is the sentinel given with its column. The "
        "torch format of datasets shows uint64 as int64: values from 2^63 on come out negative."
    )
    return [
        "## Use",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'data = load_dataset("{repository}", "{manifest.config}").with_format("torch")',
        f'data["train"][0]["image"]  # {tuple(spec.image_shape())} float32',
        "",
        "import galaxyds",
        "",
        f'galaxyds.load("{manifest.name}/{manifest.config}:{manifest.version}", split="train")',
        "```",
        "",
        missing,
    ]


def _provenance(part: Part) -> list[str]:
    manifest = part.manifest
    archive = manifest.archive
    dropped = manifest.dropped_by_reason()
    return [
        "## Provenance",
        "",
        f"- archive: {text(archive.name)}, {text(archive.data_release)}"
        + (" (simulated)" if archive.simulated else ""),
        *(f"- {text(name)}: {code(url)}" for name, url in archive.endpoints.items()),
        f"- built by galaxyds {text(manifest.package_version)}, spec {code(manifest.spec_digest)}",
        *(f"- published, {text(p.what)} ({text(p.source)}): {p.count:,}; here: "
          f"{'not compared' if p.ours is None else f'{p.ours:,}'}" for p in manifest.published),
        *(f"- duplicates removed, {text(rule)}: {n:,}" for rule, n in manifest.duplicates.items()),
        *(f"- dropped, {text(reason)}: {n:,}" for reason, n in dropped.items()),
        *(f"- warning: {text(warning)}" for warning in manifest.warnings),
        *(line for query in manifest.queries for line in ("", *code_block(query, "sql"))),
    ]  # fmt: skip


def _surveys(part: Part) -> list[str]:
    """What each spectroscopic survey of a compiled catalogue brought and lost."""
    manifest = part.manifest
    if not manifest.surveys:
        return []
    rows = (
        (text(s.name), *(f"{n:,}" for n in (s.read, s.sentinel, s.insecure, s.secure, s.duplicate,
                                            s.kept)), text(s.where))
        for s in manifest.surveys
    )  # fmt: skip
    head = ("survey", "read", "no redshift", "not secure", "secure", "duplicate", "kept", "from")
    return ["## Spectroscopic surveys", "", *table(head, rows)]


def _cut_flow(part: Part) -> list[str]:
    rows = (
        (text(row.name), code(row.sql), f"{row.removed:,}", f"{row.rows_after:,}", text(row.why),
         text(row.source))
        for row in part.manifest.cut_flow
    )  # fmt: skip
    head = ("cut", "keeps rows where", "removed", "left", "why", "source")
    return ["## Cut flow", "", *table(head, rows)]


def _columns(spec: DatasetSpec) -> list[str]:
    rows = (
        (code(c.name), c.dtype, text(c.unit), text(c.description),
         "" if c.sentinel is None or not c.nullable or c.dtype.startswith("float")
         else f"{c.sentinel:g}")
        for c in spec.stored_columns()
    )  # fmt: skip
    return ["## Columns", "", *table(("column", "dtype", "unit", "what", "missing"), rows)]


def flags_section(spec: DatasetSpec) -> list[str]:
    """Tell what the bits of ``cutout_flags`` mean; nothing where there are none."""
    rows = ((str(1 << f.bit), code(f.name), text(f.description)) for f in spec.flags)
    if not spec.flags:
        return []
    return ["## Bits of `cutout_flags`", "", *table(("value", "flag", "what"), rows)]


def _bands(spec: DatasetSpec, manifest: Manifest) -> list[str]:
    rows = []
    for band in spec.bands:
        found = manifest.bands.get(band.name)
        mean, std = (found.mean, found.std) if found else (None, None)
        nans = f"{found.nan_fraction:.4%}" if found else ""
        rows.append(
            (code(band.name), text(band.unit), band.zero_point, f"{band.wavelength:g}",
             "" if mean is None else f"{mean:.5g}", "" if std is None else f"{std:.5g}", nans)
        )  # fmt: skip
    head = (
        "band",
        "unit",
        "AB zero point",
        "wavelength (angstrom)",
        "mean",
        "std",
        "missing pixels",
    )
    return ["## Bands", "", *table(head, rows)]


def _errata(spec: DatasetSpec) -> list[str]:
    rows = ((text(e.point), text(e.paper), text(e.choice)) for e in spec.errata)
    intro = f"Where the paper ({text(spec.paper)}) leaves a choice, and what was chosen:"
    return ["## Choices", "", intro, "", *table(("point", "the paper says", "here"), rows)]


def terms_section(spec: DatasetSpec) -> list[str]:
    """Tell the licence, what its owner asks for, and what to cite."""
    licence = spec.licence
    return [
        "## Licence and citation",
        "",
        f"{text(licence.name)} ({text(licence.spdx)}), {licence.url}",
        "",
        text(licence.redistribution, 2000),
        "",
        text(licence.acknowledgement, 2000),
        "",
        *(f"- {text(citation.role)}: {text(citation.text)}" for citation in spec.citations),
        "",
        *code_block("\n".join(citation.bibtex for citation in spec.citations), "bibtex"),
    ]
