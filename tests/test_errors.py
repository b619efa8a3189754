from __future__ import annotations

import errno
import pickle

import pytest

from galaxyds import errors


def test_exit_codes_are_those_of_the_drawn_tree():
    codes = {
        errors.GalaxydsError: 1,
        errors.UsageError: 2,
        errors.MissingExtraError: 2,
        errors.DatasetNotFoundError: 3,
        errors.CredentialsError: 4,
        errors.ArchiveError: 5,
        errors.NotInArchiveError: 5,
        errors.DataIntegrityError: 6,
        errors.ResumeConflictError: 7,
        errors.StorageError: 8,
    }
    assert {kind: kind.exit_code for kind in codes} == codes
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in codes)


def test_an_error_crosses_a_process_with_its_values():
    error = errors.ArchiveError("SkyServer said no", status=500, url="http://x")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is errors.ArchiveError
    assert (str(copy), copy.status, copy.url) == ("SkyServer said no", 500, "http://x")


def test_foreign_text_loses_control_characters_and_length():
    assert errors.one_line("a\x1b[31mb\r\n\tc\x00") == "a [31mb c"
    assert len(errors.one_line("x" * 999, limit=50)) == 50


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk full"), (errno.EACCES, "no permission"), (errno.EIO, "cannot write")],
)
def test_storage_errors_name_the_path_and_the_cause(number, words):
    told = errors.storage_error(OSError(number, "text"), "/data/x")
    assert words in str(told)
    assert "/data/x" in str(told)
    assert str(told).endswith(told.advice)
    assert "--root" in told.advice


def test_a_storage_error_names_the_option_that_helps():
    told = errors.storage_error(OSError(errno.EACCES, "text"), "/data/x", option="--output")
    assert str(told) == "no permission to write /data/x: choose another --output"
