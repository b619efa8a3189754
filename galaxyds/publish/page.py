"""The page of a dataset for people: generated from its declaration, never typed.

Markdown that code hosts and MyST read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from galaxyds.publish.card import code, code_block, flags_section, table, terms_section, text
from galaxyds.refs import to_snake
from galaxyds.shown import visible

if TYPE_CHECKING:
    from galaxyds.spec import Column, Config, DatasetSpec

Section = list[str]
_LONG = 4000
_OPTIONAL = " Where an object lacks a band, its pixels are zeros and its bit of `band_mask` is 0."
_ADDRESS = re.compile(r"(https?://[^\s<>\"'`\\|]*[^\s<>\"'`\\|.,:;)])")


def render_page(
    spec: DatasetSpec,
    *,
    queries: Mapping[str, str] | None = None,
    needs: Sequence[str] = (),
    picture: str | None = None,
) -> str:
    """Write the page of a dataset.

    Parameters
    ----------
    spec : DatasetSpec
        Its declaration.
    queries : mapping of str to str, optional
        By config, the query that the archive gets; it may have several lines.
    needs : sequence of str
        What the archive needs (an account, files): one phrase each.
    picture : str, optional
        Address of a contact sheet, as seen from the page.

    Returns
    -------
    str
        Markdown.
    """
    sections = (
        _title(spec),
        _glance(spec),
        _picture(spec, picture),
        _get(spec, needs),
        _load(spec),
        _counts(spec),
        _splits(spec),
        _bands(spec),
        _selection(spec),
        _repeats(spec),
        _queries(spec, queries or {}),
        _columns(spec),
        flags_section(spec),
        _errata(spec),
        _versions(spec),
        terms_section(spec),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def render_index(specs: Sequence[DatasetSpec]) -> str:
    """Write the list of datasets, each linked to its page beside it.

    Parameters
    ----------
    specs : sequence of DatasetSpec
        In the order of the list.

    Returns
    -------
    str
        Markdown.
    """
    rows = (
        (f"[{spec.name}]({spec.name}.md)", text(spec.title), _objects(spec), _images(spec),
         text(spec.data_release))
        for spec in specs
    )  # fmt: skip
    head = ("dataset", "what", "objects (published)", "images", "data release")
    origin = (
        "Generated from the declarations in `galaxyds/specs` by `python -m galaxyds.build.pages`; "
        "the same for any dataset: `galaxyds info NAME --page`."
    )
    return "\n".join(
        [
            "# Datasets",
            "",
            origin,
            "",
            *table(head, rows),
            "",
            "[A dataset of your own](../adding_a_dataset.md) takes about twenty lines.",
            "",
        ]
    )


def _title(spec: DatasetSpec) -> Section:
    return [f"# {spec.name}", "", f"**{text(spec.title)}**", "", text(spec.summary, _LONG)]


def _glance(spec: DatasetSpec) -> Section:
    unit = "folds" if spec.split.folds else "divisions"
    rows = (
        ("paper", text(spec.paper)),
        ("survey", f"{code(spec.archive)}, {text(spec.data_release)}"),
        ("objects (published)", _objects(spec)),
        ("images", f"{_images(spec)}, {spec.pixels.scale:g} arcsec per pixel"),
        ("columns", str(len(spec.stored_columns()))),
        ("splits", f"{spec.split.divisions} {unit} of {', '.join(spec.split.names)}"),
        ("version", text(spec.version)),
        ("licence", text(spec.licence.name)),
    )
    return list(table(("", ""), rows))


def _objects(spec: DatasetSpec) -> str:
    counts = (
        f"{config.published_total:,}" + (f" ({code(config.name)})" if len(spec.configs) > 1 else "")
        for config in spec.configs
    )
    return ", ".join(counts)


def _images(spec: DatasetSpec) -> str:
    """Bands and sizes, once per kind of image."""
    kinds: dict[str, list[str]] = {}
    for config in spec.configs:
        narrowed = spec.of(config.name)
        _, rows, columns = narrowed.image_shape()
        shown = f"{text(', '.join(narrowed.band_names()))}; {rows} x {columns} pixels"
        kinds.setdefault(shown, []).append(code(config.name))
    if len(kinds) == 1:
        return next(iter(kinds))
    return "; ".join(f"{shown} ({', '.join(names)})" for shown, names in kinds.items())


def _picture(spec: DatasetSpec, picture: str | None) -> Section:
    if picture is None:
        return []
    return [
        f"![Objects of {text(spec.name)}, ordered by redshift]({picture})",
        "",
        "*Objects of a build from the simulated sky; nothing here was observed.*",
    ]


def _get(spec: DatasetSpec, needs: Sequence[str]) -> Section:
    name = spec.name
    lines = [
        (f"galaxyds plan {name}", "what that costs"),
        (f"galaxyds build {name}", f"from the archive, {spec.data_release}"),
        (f"galaxyds build {name} --archive simulated --limit 200", "no network, no account"),
    ]
    if spec.files:
        lines.append((f"galaxyds build {name} --archive release", "the authors' own files"))
    lines.append((f"galaxyds verify {name}", "read every file back"))
    also = (f"- {_linked(need)}" for need in needs)
    return [
        "## Get it",
        "",
        *_commented(lines),
        *(["", "The archive, and what is made of it, need:", "", *also] if needs else []),
        *_further_configs(spec),
    ]


def _linked(value: str) -> str:
    """Show foreign text as it is, addresses as links."""
    parts = _ADDRESS.split(visible(value, _LONG))
    return "".join(f"<{part}>" if n % 2 else _spaced(part) for n, part in enumerate(parts))


def _spaced(value: str) -> str:
    """Escape a part of a sentence, its spaces at the ends kept."""
    before, after = " " * value.startswith(" "), " " * value.endswith(" ")
    return f"{before}{text(value, _LONG)}{after}" if value.strip() else value


def _further_configs(spec: DatasetSpec) -> Section:
    others = [f"{code(f'{spec.name}/{config.name}')} ({text(config.description)})"
              for config in spec.configs[1:]]  # fmt: skip
    if not others:
        return []
    first = spec.configs[0]
    crops = any(config.cropped_from for config in spec.configs)
    both = " Configs that are cut out of another one are built with it." if crops else ""
    default = f"Without a config this means {code(first.name)} ({text(first.description)})."
    return ["", f"{default} There is also {'; '.join(others)}.{both}"]


def _commented(lines: Sequence[tuple[str, str]]) -> Section:
    width = max(len(command) for command, _ in lines) + 2
    return ["```", *(f"{command:<{width}}# {what}" for command, what in lines), "```"]


def _load(spec: DatasetSpec) -> Section:
    config, snake = spec.configs[0].name, to_snake(spec.name)
    shape = spec.of(config).image_shape()
    choice = "fold" if spec.split.folds else "division"
    mask = [f'train[0]["band_mask"]  # ({shape[0]},) bool: which bands have data'] * (
        spec.of(config).has_optional_bands()
    )
    return [
        "## Load it",
        "",
        "```python",
        "import galaxyds",
        "",
        f'train = galaxyds.load("{spec.name}/{config}", split="train", {choice}=0)  # torch',
        f'train[0]["image"]  # {shape} float32, not normalised',
        *mask,
        "",
        "from galaxyds.loaders import BatchLoader  # batches without worker processes",
        "",
        "for batch in BatchLoader(train, batch_size=256, seed=1):",
        '    batch["image"], batch["redshift"]',
        "",
        "from datasets import load_dataset  # Hugging Face, from the folder of the build",
        "",
        f'load_dataset("DATA/{snake}/{config}/{spec.version}/hub")  # DATA: galaxyds config, home',
        "```",
        "",
        "Over a network: run `galaxyds serve` where the build is, and use the address it prints.",
        "",
        "```python",
        "import os",
        "",
        'os.environ["HF_ENDPOINT"] = "http://ADDRESS"',
        'os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # your own token stays at home',
        "",
        "from datasets import load_dataset",
        "",
        f'load_dataset("galaxyds/{snake}", "{config}").with_format("torch")',
        "```",
    ]


def _counts(spec: DatasetSpec) -> Section:
    rows = (
        (code(config.name), text(published.what), f"{published.count:,}", text(published.source))
        for config in spec.configs
        if not config.cropped_from or config.published != spec.config(config.cropped_from).published
        for published in config.published
    )
    return [
        "## How many objects",
        "",
        "As published; a build compares its own counts with these and says so.",
        "",
        *table(("config", "what", "count", "source"), rows),
    ]


def _splits(spec: DatasetSpec) -> Section:
    rule = spec.split
    hashed = code(rule.key or spec.object_id)
    if rule.folds:
        told = (
            f"{rule.folds} folds by a hash of {hashed}: division `k` tests fold `k`, so every "
            f"object is tested once; {rule.validation:.0%} of the others validate"
        )
    else:
        told = f"{rule.divisions} independent divisions by a seeded hash of {hashed}"
    shares = (
        (f"`split_{k}`", *(f"{share:.1%}" for share in rule.shares(k)))
        for k in range(rule.divisions)
    )
    extra = [(code(e.name), code(e.sql), text(e.why), text(e.source)) for e in rule.extra]
    head = ("further split", "objects where", "why", "source")
    return [
        "## Splits",
        "",
        f"{told} ({text(rule.source)}).",
        "",
        *table(("column", "train", "validation", "test"), shares),
        *(["", *table(head, extra)] if extra else []),
    ]


def _bands(spec: DatasetSpec) -> Section:
    optional = spec.has_optional_bands()
    rows = (
        (code(band.name), text(band.unit), f"{band.zero_point:g}", f"{band.wavelength:g}",
         *(("yes" if band.optional else "",) if optional else ()))
        for band in spec.bands
    )  # fmt: skip
    head = ("band", "unit", "AB zero point", "wavelength (angstrom)")
    return [
        "## Bands",
        "",
        "In the order of the image axis." + (_OPTIONAL if optional else ""),
        "",
        *table((*head, "may be missing") if optional else head, rows),
    ]


def _selection(spec: DatasetSpec) -> Section:
    lines = ["## Selection", "", "Cuts in the order in which a build counts them."]
    told: dict[object, str] = {}
    for config in spec.configs:
        lines += ["", f"### Config {code(config.name)}", "", f"{text(config.description)}.", ""]
        earlier = told.setdefault(config.cuts, config.name)
        lines += _cuts(config) if earlier == config.name else [f"The cuts of {code(earlier)}."]
    return lines


def _cuts(config: Config) -> Iterator[str]:
    if not config.cuts:
        return iter(("None.",))
    rows = (
        (text(cut.name), code(cut.shown), text(cut.why)
         + ("" if cut.has_effect else " (no effect)"), text(cut.source))
        for cut in config.cuts
    )  # fmt: skip
    return table(("cut", "keeps rows where", "why", "source"), rows)


def _repeats(spec: DatasetSpec) -> Section:
    rows = (
        (text(rule.name), text(rule.what), code(rule.rule()), text(rule.why), text(rule.source))
        for rule in spec.duplicates
    )
    if not spec.duplicates:
        return []
    head = ("rule", "what they share", "kept", "why", "source")
    return ["## Repeats", "", "Removed after the cuts, in this order.", "", *table(head, rows)]


def _queries(spec: DatasetSpec, queries: Mapping[str, str]) -> Section:
    if not queries:
        return []
    lines = ["## Query", "", f"What the archive {code(spec.archive)} is asked, pages aside."]
    told: dict[str, str] = {}
    for config, query in queries.items():
        earlier = told.setdefault(query, config)
        lines += ["", f"### Query of {code(config)}", ""]
        lines += code_block(query, "sql") if earlier == config else [f"That of {code(earlier)}."]
    return lines


def _columns(spec: DatasetSpec) -> Section:
    rows = (
        (code(c.name), c.dtype, text(c.unit), text(c.description), _missing(c),
         code(c.archive or c.derived))
        for c in spec.stored_columns()
    )  # fmt: skip
    head = ("column", "dtype", "unit", "what", "if missing", "from")
    return ["## Columns", "", *table(head, rows)]


def _missing(column: Column) -> str:
    if not column.nullable:
        return ""
    if column.dtype.startswith("float"):
        return "NaN"
    return "" if column.sentinel is None else f"{column.sentinel:g}"


def _errata(spec: DatasetSpec) -> Section:
    if not spec.errata:
        return []
    rows = ((text(e.point), text(e.paper), text(e.choice)) for e in spec.errata)
    head = ("point", "the paper says", "here")
    return ["## Where the paper leaves a choice", "", *table(head, rows)]


def _versions(spec: DatasetSpec) -> Section:
    rows = ((text(version), text(note)) for version, note in spec.release_notes.items())
    return ["## Versions", "", *table(("version", "what changed"), rows)]
