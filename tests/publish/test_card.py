"""The card: a YAML head that parses, texts that cannot act, and no silence about simulations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from galaxyds.publish.card import Part, code, code_block, render_card, text
from galaxyds.publish.hub import SplitSize, hub_features
from galaxyds.spec import Licence
from galaxyds.specs import get_spec, spec_names
from tests.small_build import SPEC, manifest

SIZES = {name: SplitSize(rows=n, bytes=100 * n) for name, n in
         (("train", 40), ("validation", 9), ("test", 11))}  # fmt: skip


def card(spec=SPEC, **options):
    described = manifest(spec, config=spec.configs[0].name, **options)
    return render_card([part(spec, described)])


def part(spec, described):
    return Part(spec=spec, manifest=described, features=hub_features(spec), sizes=SIZES)


def head(rendered):
    return yaml.safe_load(rendered.split("---\n")[1])


def test_the_head_states_configs_features_and_splits():
    parsed = head(card())
    (config,) = parsed["configs"]
    assert config["config_name"] == "extended"
    assert config["version"] == "1.2.0"
    assert [f["path"] for f in config["data_files"]] == [
        "extended/train-*.parquet",
        "extended/validation-*.parquet",
        "extended/test-*.parquet",
    ]
    (info,) = parsed["dataset_info"]
    assert info["features"][-1] == {
        "name": "image",
        "dtype": {"array3_d": {"shape": [3, 8, 8], "dtype": "float32"}},
    }
    assert info["splits"][0] == {"name": "train", "num_bytes": 4000, "num_examples": 40}
    assert parsed["license"] == "cc0-1.0"


def test_a_licence_that_hubs_do_not_know_is_other():
    licence = Licence(
        name='Own: "terms"', spdx="LicenseRef-x", redistribution="", acknowledgement="", url=""
    )
    parsed = head(card(replace(SPEC, licence=licence)))
    assert parsed["license"] == "other"
    assert parsed["license_name"] == 'Own: "terms"'


def test_a_simulated_or_limited_build_says_so_loudly():
    loud = card(simulated=True, limit=60)
    assert "**This is not the full dataset.**" in loud
    assert "simulated sky, limited to 60 objects" in loud
    assert "Nothing here was observed" in loud
    assert "50 times more quasars" in loud
    assert "not the full" not in card()


def test_the_cut_flow_and_the_published_counts_are_told():
    rendered = card()
    assert "| bright | `mag_g < 22 OR mag_g IS NULL` | 30 | 60 |" in rendered
    assert "published, all (Sect. 2): 465; here: 60" in rendered
    assert "dropped, no frame: 1" in rendered
    assert "repeat spectra: 3" in rendered


def test_foreign_text_is_shown_and_cannot_act():
    rendered = card()
    assert "<script>" not in rendered
    assert "&lt;script&gt;" in rendered
    assert "[x](javascript" not in rendered


@pytest.mark.parametrize(
    "hostile",
    [
        "a\n---\nlicense: mit",
        "```\n# out",
        "`x` <b>|pipe|</b> [a](b) ![i](x) *s* _u_",
        "\x1b[31mred\x00",
        "- item",
        "# head",
    ],
)
def test_markup_is_off(hostile):
    shown = text(hostile)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert "<b>" not in shown
    assert not shown.startswith(("#", "-"))
    assert "](" not in shown.replace("\\](", "")
    assert code(hostile).count("`") == 2
    opening, *lines, closing = code_block(hostile, "sql")
    assert (opening, closing) == ("```sql", "```")
    assert len(lines) == hostile.count("\n") + 1
    assert not set("`\x1b\x00\n") & set("".join(lines))


def test_hostile_texts_leave_the_head_alone():
    spec = replace(SPEC, title='x"\n---\nlicense: mit\n# ')
    parsed = head(card(spec))
    assert parsed["license"] == "cc0-1.0"
    assert parsed["pretty_name"].startswith('x"')


@pytest.mark.parametrize("name", spec_names())
def test_the_card_of_every_dataset_can_be_written(name):
    spec = get_spec(name)
    rendered = card(spec)
    assert len(head(rendered)["dataset_info"][0]["features"]) == len(spec.stored_columns()) + 1
    for cut in spec.configs[0].cuts:
        assert cut.names()
    for erratum in spec.errata:
        assert text(erratum.choice) in rendered
