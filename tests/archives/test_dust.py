import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from galaxyds.archives.dust import DOI, FILES, SFDMap, fetch_sfd, sfd_folder
from galaxyds.errors import ArchiveError, DataIntegrityError, UsageError
from tests.servers.loopback import LoopbackServer, Reply, Request

SIZE = 64


def header(south: bool) -> fits.Header:
    """Zenithal equal-area projection about a galactic pole, its hemisphere on the map.

    CRVAL1 and LONPOLE follow from :func:`pixel` and Calabretta & Greisen 2002, eqs. 2, 14, 15, 69.
    """
    made = fits.Header()
    scale = np.degrees(np.sqrt(2.0)) / (SIZE / 2)
    made["CTYPE1"], made["CTYPE2"] = "GLON-ZEA", "GLAT-ZEA"
    made["CRPIX1"] = made["CRPIX2"] = (SIZE + 1) / 2
    made["CRVAL1"], made["CRVAL2"], made["LONPOLE"] = 90.0, -90.0 if south else 90.0, 180.0
    made["CDELT1"], made["CDELT2"] = -scale, scale
    return made


def pixel(ra, dec):
    """0-based place on the map of its hemisphere (Schlegel et al. 1998, eqs. C1 and C2)."""
    galactic = SkyCoord(ra, dec, unit="deg").galactic
    lon, lat = galactic.l.radian, galactic.b.radian
    n = np.where(lat < 0, -1, 1)
    radius, middle = SIZE / 2 * np.sqrt(1 - n * np.sin(lat)), (SIZE - 1) / 2
    return radius * np.cos(lon) + middle, -n * radius * np.sin(lon) + middle, lat < 0


def plane(x, y, south):
    """A value that is linear in pixels, so that bilinear interpolation gives it exactly."""
    return 0.5 + 0.003 * x - 0.002 * y + 0.25 * np.asarray(south)


def write_maps(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:SIZE, :SIZE]
    for name, south in zip(FILES, (False, True), strict=True):
        values = plane(x, y, south).astype(np.float32)
        fits.PrimaryHDU(values, header(south)).writeto(folder / name, overwrite=True)
    return folder


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    return write_maps(tmp_path / "maps")


@pytest.fixture
def sky():
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    away = np.abs(SkyCoord(ra, dec, unit="deg").galactic.b.deg) > 6  # inside the map's rim
    return ra[away], dec[away]


def test_values_are_the_maps_own_and_not_scaled(maps, sky):
    ebv = SFDMap(maps).ebv(*sky)
    assert ebv.dtype == np.float64
    np.testing.assert_allclose(ebv, plane(*pixel(*sky)), rtol=0, atol=2e-6)
    # Would fail by 14 % for values that are scaled to Schlafly & Finkbeiner's.
    assert np.median(ebv / plane(*pixel(*sky))) == pytest.approx(1.0, abs=1e-5)


def test_a_position_has_one_value_whatever_it_is_asked_with(maps, sky):
    together = SFDMap(maps).ebv(*sky)
    alone = [float(SFDMap(maps).ebv(sky[0][n : n + 1], sky[1][n : n + 1])[0]) for n in range(5)]
    assert together[:5].tolist() == alone
    assert SFDMap(maps).ebv(np.zeros(0), np.zeros(0)).shape == (0,)
    copied = pickle.loads(pickle.dumps(SFDMap(maps)))
    np.testing.assert_array_equal(copied.ebv(*sky), together)


def test_the_archive_of_irsa_tells_sfd_from_its_recalibration(survey_data, tmp_path):
    """A recorded answer holds both values of M31: ours must be the one that is named SFD."""
    answer = (survey_data / "protocol" / "irsa_dust" / "dustm31.xml").read_text()
    value = {
        kind: float(re.search(rf"<refPixelValue{kind}>\s*([\d.]+)", answer).group(1))
        for kind in ("SFD", "SandF")
    }
    assert value["SandF"] / value["SFD"] == pytest.approx(0.86, abs=1e-3)
    for name, south in zip(FILES, (False, True), strict=True):
        flat = np.full((SIZE, SIZE), value["SFD"], np.float32)
        fits.PrimaryHDU(flat, header(south)).writeto(tmp_path / name)
    ebv = SFDMap(tmp_path).ebv(np.array([10.684790]), np.array([41.269060]))
    assert ebv[0] == pytest.approx(value["SFD"], rel=1e-6)


def test_the_folder_of_the_setting_is_used(maps, monkeypatch, sky):
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(maps))
    assert sfd_folder() == maps
    np.testing.assert_array_equal(SFDMap().ebv(*sky), SFDMap(maps).ebv(*sky))


def test_without_maps_one_line_says_where_it_looked_and_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(
        UsageError, match=r"are not in .*nowhere: fetch them with python -c"
    ) as told:
        SFDMap().ebv(np.zeros(1), np.zeros(1))
    assert "\n" not in str(told.value)


def test_own_maps_are_found_before_those_of_dustmaps(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"galaxyds/sfd or .*sfd: fetch"):
        sfd_folder()
    own = write_maps(tmp_path / "cache" / "galaxyds" / "sfd")
    assert sfd_folder() == own


@pytest.mark.parametrize("damage", ["cut", "page", "lie"])
def test_a_damaged_map_is_named(maps, damage):
    path = maps / FILES[1]
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:5760])
    elif damage == "page":
        path.write_bytes(b"<html>please sign in</html>")
    else:
        path.write_bytes(
            content.replace(
                b"NAXIS1  =                   64", b"NAXIS1  = 4000000000000000000 "[:30]
            )
        )
    with pytest.raises(DataIntegrityError, match=FILES[1]):
        SFDMap(maps).ebv(np.array([10.0]), np.array([41.0]))


def test_using_the_maps_leaves_no_trace_in_the_home(maps, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import numpy as np, pathlib, sys\n"
        "from galaxyds.archives.dust import SFDMap\n"
        "print(SFDMap(pathlib.Path(sys.argv[1])).ebv(np.array([10.0]), np.array([41.0])))\n"
    )
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(maps)],
        env=keep | {"HOME": str(home)}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("[0.")
    assert "dustmapsrc" not in done.stderr + done.stdout
    left = {path.relative_to(home).parts[0] for path in home.rglob("*")}
    assert left <= {".astropy", ".cache", ".config"}


class Dataverse(LoopbackServer):
    """Answers for one record; file contents by number."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = dict(enumerate(files.items(), 101))
        self.wrong: dict[str, str] = {}

    def handle(self, request: Request) -> Reply:
        if request.path == "/api/datasets/:persistentId":
            assert request.query == {"persistentId": f"doi:{DOI}"}
            listed = [
                {"dataFile": {"id": n, "filename": name, "md5": self.wrong.get(name, md5(body))}}
                for n, (name, body) in self.files.items()
            ]
            answer = {"status": "OK", "data": {"latestVersion": {"files": listed}}}
            return Reply(json.dumps(answer).encode(), headers={"Content-Type": "application/json"})
        number = int(request.path.rpartition("/")[2])
        return Reply(self.files[number][1], headers={"Content-Type": "application/fits"})


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


@pytest.fixture
def dataverse(maps, monkeypatch):
    bodies = {"README.txt": b"read me", **{name: (maps / name).read_bytes() for name in FILES}}
    with Dataverse(bodies) as server:
        monkeypatch.setenv("GALAXYDS_DATAVERSE_URL", server.url)
        yield server


def test_maps_are_fetched_once_and_used(dataverse, maps, tmp_path, monkeypatch, http, sky):
    monkeypatch.setenv("GALAXYDS_SFD_DIR", str(tmp_path / "fetched"))
    assert fetch_sfd(http=http) == tmp_path / "fetched"
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == set(FILES)
    np.testing.assert_array_equal(SFDMap().ebv(*sky), SFDMap(maps).ebv(*sky))
    asked = len(dataverse.requests)
    fetch_sfd(http=http)
    assert [request.path for request in dataverse.requests[asked:]] == [
        "/api/datasets/:persistentId"
    ]


def test_a_map_with_another_checksum_is_refused_and_not_left_behind(dataverse, tmp_path, http):
    dataverse.wrong[FILES[0]] = "0" * 32
    with pytest.raises(DataIntegrityError, match=FILES[0]):
        fetch_sfd(tmp_path / "fetched", http=http)
    assert not (tmp_path / "fetched" / FILES[0]).exists()


def test_a_record_without_the_maps_is_refused(dataverse, tmp_path, http):
    dataverse.files = {101: ("README.txt", b"read me")}
    with pytest.raises(ArchiveError, match=f"has no {FILES[0]} with an md5"):
        fetch_sfd(tmp_path / "fetched", http=http)
