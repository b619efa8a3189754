"""Datasets of other packages: found by entry points, never in the way of galaxyds' own."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from galaxyds.errors import DatasetNotFoundError
from galaxyds.specs import OWN, get_spec, package_of, spec_names
from tests.small_build import make_build

GOOD = "from dataclasses import replace\nfrom tests.small_build import SPEC as base\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with one entry point on the path, as an installer would leave it."""
    monkeypatch.syspath_prepend(tmp_path)

    def one(name, code, *, value=None, package="other"):
        module = f"{package}_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(code, "utf-8")
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        with (info / "entry_points.txt").open("a") as file:
            file.write(f"[galaxyds.specs]\n{name} = {value or f'{module}:SPEC'}\n")
        return tmp_path

    yield one
    for module in [m for m in sys.modules if m.startswith(("other_", "second_"))]:
        del sys.modules[module]


def made(name):
    return f"{GOOD}SPEC = replace(base, name={name!r})\n"


def test_a_package_that_was_just_installed_is_found(install):
    assert spec_names() == OWN
    with pytest.raises(DatasetNotFoundError, match="there is no dataset 'far-sky'"):
        get_spec("far-sky")
    install("far-sky", made("far-sky"))
    assert spec_names() == (*OWN, "far-sky")
    assert get_spec("far_sky").name == "far-sky"
    assert package_of("far-sky") == "other 1.2"
    assert package_of("sdss-qso") == ""
    with pytest.raises(DatasetNotFoundError, match="did you mean far-sky"):
        get_spec("far-sly")


def test_what_a_package_prints_is_not_on_standard_output(install, capsys):
    install("far-sky", f"print('hello')\n{made('far-sky')}")
    assert spec_names() == (*OWN, "far-sky")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("name", "code", "cause"),
    [
        ("bad-sky", "import no_such_module_here", "ModuleNotFoundError: No module named"),
        ("bad-sky", "SPEC = 3", "is no DatasetSpec but of type int"),
        ("bad-sky", "SPEC =", "SyntaxError"),
        ("bad-sky", "raise SystemExit(9)", "SystemExit: 9"),
        ("bad-sky", "OTHER = 1", "AttributeError"),
        ("bad-sky", f"{GOOD}SPEC = replace(base, key='nothing')", "undeclared columns"),
        ("bad-sky", f"{GOOD}SPEC = base", "is named 'tiny-sky'; both must agree"),
        ("Bad", "", "lower-case letters"),
    ],
)
def test_a_broken_package_is_named_and_stops_nothing(install, caplog, name, code, cause):
    install(name, code)
    install("far-sky", made("far-sky"), package="second")
    assert spec_names() == (*OWN, "far-sky")
    (warning,) = [record.getMessage() for record in caplog.records]
    assert cause in warning
    assert "of the package other 1.2 cannot be used" in warning
    assert "\n" not in warning
    with pytest.raises(DatasetNotFoundError, match=r"other 1\.2"):
        get_spec(name)
    assert get_spec("sdss-qso").name == "sdss-qso"


def test_a_name_of_galaxyds_is_not_taken_over(install, caplog):
    install("sdss-qso", made("sdss-qso"))
    assert get_spec("sdss-qso").title.startswith("SDSS DR17")
    assert spec_names() == OWN
    assert "that name is one of galaxyds' own" in caplog.text


def test_two_packages_of_one_name_are_both_refused(install):
    install("far-sky", made("far-sky"))
    install("far-sky", made("far-sky"), package="second")
    with pytest.raises(DatasetNotFoundError, match="2 packages offer that name"):
        get_spec("far-sky")


def test_it_loads_by_address_and_by_class_and_travels(install, tmp_path):
    from galaxyds import datasets, load

    install("far-sky", made("far-sky"))
    make_build(tmp_path / "data", spec=get_spec("far-sky"))
    train = load("far-sky", "train", root=tmp_path / "data")
    assert type(train) is datasets.FarSky is datasets.dataset_class("far_sky")
    assert train[0]["image"].shape == (3, 8, 8)
    twin = pickle.loads(pickle.dumps(train))
    assert twin[0]["object_id"] == train[0]["object_id"]
    with pytest.raises(AttributeError, match="no attribute 'NearSky'"):
        _ = datasets.NearSky


def test_a_spawned_worker_and_the_hub_folder_read_it(install, tmp_path):
    install("far-sky", made("far-sky"))
    built = make_build(tmp_path / "data", spec=get_spec("far-sky"))
    code = (
        "import galaxyds, json, sys\n"
        "from torch.utils.data import DataLoader\n"
        "if __name__ == '__main__':\n"
        f"    data = galaxyds.load('far-sky', 'all', root={str(tmp_path / 'data')!r})\n"
        "    loader = DataLoader(data, batch_size=20, num_workers=1,\n"
        "                        multiprocessing_context='spawn')\n"
        "    rows = sum(len(batch['image']) for batch in loader)\n"
        "    from datasets import load_dataset\n"
        f"    hub = load_dataset({str(built / 'hub')!r}, cache_dir={str(tmp_path / 'hf')!r})\n"
        "    print(json.dumps([rows, sum(hub.num_rows.values())]))\n"
    )
    (tmp_path / "read.py").write_text(code)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}:.", "HF_HUB_OFFLINE": "1",
                   "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}  # fmt: skip
    out = subprocess.run([sys.executable, tmp_path / "read.py"], env=environment,
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert json.loads(out.stdout.splitlines()[-1]) == [60, 60]


def test_own_datasets_are_found_without_looking_at_other_packages():
    code = (
        "import sys\nfrom galaxyds.specs import get_spec\nget_spec('sdss-qso')\n"
        "print('galaxyds.specs._foreign' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
