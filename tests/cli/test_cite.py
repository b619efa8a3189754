from __future__ import annotations

import re

import pytest

from galaxyds.publish.citing import escaped
from galaxyds.specs import OWN, get_spec
from tests.cli.shell import run_here

REQUIRED = {
    "article": {"author", "title", "journal", "volume", "pages", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "misc": {"author", "title", "year"},
    "software": {"author", "title", "version", "year"},
}
"""Fields by type of entry: those of BibTeX's styles, and where an article is in its journal."""


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Read BibTeX by its grammar: entries at brace depth 0, fields as name = {balanced}."""
    entries: dict[str, dict[str, str]] = {}
    place = 0
    while (start := text.find("@", place)) >= 0:
        head = re.compile(r"@(\w+)\{([^\s,{}]+),").match(text, start)
        assert head, text[start : start + 40]
        end = closing(text, text.index("{", start))
        fields, body = {}, text[head.end() : end]
        while found := re.match(r"\s*(\w+)\s*=\s*\{", body):
            last = closing(body, found.end() - 1)
            fields[found[1]] = body[found.end() : last]
            body = body[last + 1 :].lstrip().removeprefix(",")
        assert not body.strip(), body
        assert head[2] not in entries, "a key twice"
        entries[head[2]] = {"": head[1], **fields}
        place = end
    return entries


def closing(text: str, start: int) -> int:
    """Place of the brace that closes the one at ``start``."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise AssertionError("a brace is not closed")


@pytest.mark.parametrize("name", OWN)
def test_bibtex_of_every_dataset_is_valid_and_complete(capsys, tmp_path, name):
    done = run_here(capsys, "cite", name, "--format", "bibtex", "--root", tmp_path)
    entries = parsed(done.out)
    assert {citation.key for citation in get_spec(name).citations} | {"galaxyds"} <= set(entries)
    for key, fields in entries.items():
        assert REQUIRED[fields[""]] <= set(fields), key
        assert all(fields.values())
        plain = "".join(value for key, value in fields.items() if key not in ("doi", "url"))
        assert not re.search(r"(?<!\\)[&%#]", plain)
    assert get_spec(name).licence.acknowledgement.split(".")[0] in done.out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sdss-qso/nope", "sdss-qso has no config 'nope'"),
        ("sdss-qso:9.9.9", "sdss-qso has no version 9.9.9: it is at 1.0.0"),
        ("sdss-qsa", "did you mean sdss-qso?"),
    ],
)
def test_an_address_of_nothing_is_refused(capsys, tmp_path, address, said):
    done = run_here(capsys, "cite", "hsc-deep", address, "--root", tmp_path)
    assert done.code in (2, 3)
    assert said in done.err
    assert done.out == ""


def test_a_config_and_a_version_are_taken(capsys, tmp_path):
    done = run_here(capsys, "cite", "sdss-qso/baseline:1.0.0", "sdss-qso", "--root", tmp_path)
    assert done.out.count("sdss-qso 1.0.0:") == 1


def test_of_several_datasets_every_key_comes_once(capsys, tmp_path):
    done = run_here(capsys, "cite", *OWN, "sdss-qso", "--format", "bibtex", "--root", tmp_path)
    assert len(parsed(done.out)) > len(OWN)


def test_the_text_has_roles_the_acknowledgement_and_the_software_in_use(capsys, tmp_path):
    out = run_here(capsys, "cite", "hsc-galaxiesml", "sdss-qso", "--root", tmp_path).out
    morphology, quasars = out.split("sdss-qso 1.0.0")
    for words in ("[dataset] Do, T.", "[survey] Aihara", "[acknowledgement] Based on data of the"):
        assert words in morphology
    assert "SEP: Source Extractor as a library" in morphology
    assert "SEP" not in quasars
    assert "GALSIM" not in out
    assert "[note]" not in out


def test_a_simulated_build_is_told_and_a_real_one_is_not(capsys, tmp_path, monkeypatch):
    from tests import small_build

    monkeypatch.setattr("galaxyds.specs.get_spec", lambda _: small_build.SPEC)
    small_build.make_build(tmp_path, 20, simulated=True)
    told = run_here(capsys, "cite", "tiny-sky", "--root", tmp_path).out
    assert "no data of the survey are in it" in " ".join(told.split())
    assert "GALSIM" in told
    small_build.make_build(tmp_path, 20)
    assert "[note]" not in run_here(capsys, "cite", "tiny-sky", "--root", tmp_path).out


def test_what_latex_trips_over_is_escaped_once():
    entry = "@a{k,\n  journal = {A&A},\n  note = {A\\&A 5%},\n  doi = {10.1/a&b#c}\n}"
    assert escaped(entry) == (
        "@a{k,\n  journal = {A\\&A},\n  note = {A\\&A 5\\%},\n  doi = {10.1/a&b#c}\n}"
    )
    assert escaped(escaped(entry)) == escaped(entry)
