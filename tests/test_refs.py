from __future__ import annotations

import pytest

from galaxyds.errors import UsageError
from galaxyds.refs import DatasetRef


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sdss-qso", ("sdss-qso", None, None)),
        ("sdss_qso/baseline", ("sdss-qso", "baseline", None)),
        ("galaxyds/sdss_qso", ("sdss-qso", None, None)),
        ("sdss-qso/extended:1.0.0", ("sdss-qso", "extended", "1.0.0")),
        ("hsc-galaxiesml/64:1.2.3", ("hsc-galaxiesml", "64", "1.2.3")),
        (
            "sdss-qso:1.0.0+simulated.limit2000",
            ("sdss-qso", None, "1.0.0+simulated.limit2000"),
        ),
    ],
)
def test_addresses_are_read(text, expected):
    ref = DatasetRef.parse(text)
    assert (ref.name, ref.config, ref.version) == expected


@pytest.mark.parametrize(
    "text", ["", "SDSS", "a/b/c", "x:1.0", "../etc", "sdss-qso/", "a b", "x:1.0.0+"]
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="sdss-qso/extended"):
        DatasetRef.parse(text)


def test_an_address_survives_printing_and_reading():
    text = "sdss-qso/baseline:1.0.0+limit5"
    assert str(DatasetRef.parse(text)) == text
