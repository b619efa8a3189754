"""CADC: registry, TAP (argus), SODA cutouts (caom2ops), whole files (data/pub), over loopback.

::

    sky = {"CFHTLS_W_g_022539-041200_T0007_MEDIAN.fits": FITS bytes, ...}
    # or a Path each, or a function without arguments that returns the bytes
    with CADCEmulator(sky) as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)

``coadd(...)`` makes the FITS file of a small tile.  The catalogue that TAP answers from is made of
the files' names: one observation per tile, one plane and one artifact per file, and beside them a
colour composite, a weight map and a preview per tile that no client must take for coadds.  The i
filter of a tile is ``new_i`` where the tile's name is in that set, else the old one.  ADQL runs on
DuckDB with ``CIRCLE`` and ``INTERSECTS``.

Knobs (attributes): ``most`` rows of a TAP answer; ``redirect_sync`` answers a form with 303 to the
result; ``no_overlap`` is how SODA says that a circle misses the file ("204" or "400"); ``soda``
False takes the cutout service away (404 page); ``private`` redirects data and cutouts to
``/data/auth/...``, which answers 401; ``compressed`` delivers whole files gzipped ("body": the
stored file is a gzip file, "encoding": gzip as a content encoding); ``checksums`` False leaves md5
sums out of the catalogue.  Faults as everywhere; in addition Fault("href") answers TAP with a
VOTable whose data are elsewhere.

Paths are normalised (``/argus//sync`` is ``/argus/sync``), as the archive does for its own client.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from urllib.parse import parse_qsl

import duckdb
import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.wcs import WCS

from tests.servers.loopback import HTML_404, Fault, LoopbackServer, Reply, Request
from tests.servers.sas import ranged
from tests.servers.votables import HEAD, info, tap_answer, tap_error

NAME = re.compile(r"CFHTLS_W_([a-z])_(\d{6})([+-]\d{6})_T0007_MEDIAN\.fits(?:\.gz)?")
FILTERS = {"u": "u.MP9301", "g": "g.MP9401", "r": "r.MP9601", "i": "i.MP9701", "z": "z.MP9801"}
Content = bytes | Path | Callable[[], bytes]
VOTABLE = {"Content-Type": "application/x-votable+xml"}
TEXT = {"Content-Type": "text/plain"}
HTML = {"Content-Type": "text/html"}
MACROS = """
CREATE MACRO circle(frame, a, d, r) AS {'ra': a, 'dec': d, 'r': r};
CREATE MACRO intersects(c, b) AS CASE WHEN abs(c.dec - b.dec) <= c.r + b.half
  AND abs(c.ra - b.ra) * cos(radians(b.dec)) <= c.r + b.half THEN 1 ELSE 0 END;
CREATE SCHEMA caom2;
"""
CAPABILITIES = """<?xml version="1.0" encoding="UTF-8"?>
<vosi:capabilities xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0"
 xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<capability standardID="{standard}"><interface xsi:type="vs:ParamHTTP" role="std" version="1.1">
<accessURL use="{use}">{url}</accessURL></interface></capability></vosi:capabilities>"""


def coadd(
    name: str, *, size: int = 200, seed: int = 0, scale: float = 0.18599, pixels: object = None
) -> bytes:
    """A small coadd of a tile, as TERAPIX's: TAN, north up, the tile's middle in its middle."""
    match = NAME.fullmatch(name)
    ra, dec = centre(match[2], match[3])
    draw = np.random.default_rng([seed, ord(match[1]), int(match[2])])
    if pixels is None:
        pixels = draw.normal(0.0, 3.0, (size, size)).astype(np.float32)
    pixels = np.asarray(pixels, np.float32)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CRPIX1"], header["CRPIX2"] = (n / 2 + 0.5 for n in pixels.shape[::-1])
    header["CD1_1"], header["CD2_2"] = -scale / 3600, scale / 3600
    header["CD1_2"] = header["CD2_1"] = 0.0
    header["RADESYS"], header["EQUINOX"] = "ICRS", 2000.0
    file = io.BytesIO()
    fits.PrimaryHDU(pixels, header).writeto(file)
    return file.getvalue()


def centre(hms: str, dms: str) -> tuple[float, float]:
    parts = [int(text[n : n + 2]) for text in (hms, dms[1:]) for n in (0, 2, 4)]
    sign = -1 if dms[0] == "-" else 1
    hours, degrees = parts[:3], parts[3:]
    value = [a + b / 60 + c / 3600 for a, b, c in (hours, degrees)]
    return 15 * value[0], sign * value[1]


class CADCEmulator(LoopbackServer):
    """CADC with the CFHTLS Wide files that are given.

    Parameters
    ----------
    files : mapping of str to bytes, Path or callable
        FITS coadds by file name.
    new_i : set of str
        Tiles (``HHMMSS+DDMMSS``) whose i coadd is of the new filter.
    most : int
        Rows that TAP delivers at most.
    """

    def __init__(
        self, files: Mapping[str, Content], *, new_i: Set[str] = frozenset(), most: int = 10**6
    ) -> None:
        super().__init__()
        self.files = dict(files)
        self.new_i, self.most = new_i, most
        self.redirect_sync, self.soda, self.private, self.checksums = False, True, False, True
        self.no_overlap = "204"
        self.compressed = ""
        self._results: dict[str, Reply] = {}
        self._database: duckdb.DuckDBPyConnection | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Settings of galaxyds that point here."""
        return {
            "GALAXYDS_CADC_TAP_URL": f"{self.url}/argus",
            "GALAXYDS_CADC_SODA_URL": f"{self.url}/caom2ops/sync",
            "GALAXYDS_CADC_DATA_URL": f"{self.url}/data/pub",
        }

    @property
    def registry(self) -> str:
        """For ``astroquery.cadc.conf.CADC_REGISTRY_URL``."""
        return f"{self.url}/reg/resource-caps"

    def content(self, name: str) -> bytes:
        found = self.files[name]
        if callable(found):
            found = self.files[name] = found()
        return found.read_bytes() if isinstance(found, Path) else found

    def handle(self, request: Request) -> Reply:
        path = re.sub(r"/{2,}", "/", request.path)
        if path == "/reg/resource-caps":
            return Reply(self.registry_text().encode(), headers=TEXT)
        if path in ("/argus/capabilities", "/caom2ops/capabilities"):
            return Reply(self.capabilities(path), headers={"Content-Type": "text/xml"})
        if path == "/argus/sync" or path.startswith("/argus/sync/"):
            return self.sync(request, path)
        if path == "/caom2ops/sync" and self.soda:
            return self.cutout(request)
        if path.startswith("/data/pub/"):
            return self.whole(request, path)
        if path.startswith("/data/auth/"):
            return Reply(b"authentication required", 401, TEXT)
        return Reply(HTML_404, 404, HTML)

    def registry_text(self) -> str:
        names = "\n".join(
            f"ivo://cadc.nrc.ca/{name} = {self.url}/{name}/capabilities"
            for name in ("argus", "caom2ops")
        )
        return f"# services\n\n{names}\n"

    def capabilities(self, path: str) -> bytes:
        if "argus" in path:
            told = {"standard": "ivo://ivoa.net/std/TAP", "use": "base", "url": f"{self.url}/argus"}
        else:
            url = f"{self.url}/caom2ops/datalink"
            told = {"standard": "ivo://ivoa.net/std/DataLink#links-1.0", "use": "base", "url": url}
        return CAPABILITIES.format(**told).encode()

    # TAP ---------------------------------------------------------------------------------------

    def sync(self, request: Request, path: str) -> Reply:
        if path != "/argus/sync":
            return self._results.get(path, Reply(b"no such job", 404, TEXT))
        form = {**request.query, **dict(parse_qsl(request.body.decode()))}
        form = {name.upper(): value for name, value in form.items()}
        reply = self.query(form)
        if not self.redirect_sync:
            return reply
        result = f"/argus/sync/job{len(self._results)}/run"
        self._results[result] = reply
        return Reply(b"", 303, {"Location": f"{self.url}{result}"})

    def query(self, form: Mapping[str, str]) -> Reply:
        if form.get("REQUEST") != "doQuery" or form.get("LANG") != "ADQL":
            return Reply(b"UsageFault: REQUEST=doQuery and LANG=ADQL are required", 400, TEXT)
        try:
            table = self.database().sql(form["QUERY"]).to_arrow_table()
        except duckdb.Error as error:
            return Reply(tap_error(f"IllegalArgumentException: {error}"), 400, VOTABLE)
        most = min(self.most, int(form.get("MAXREC", self.most)))
        body = tap_answer(table.slice(0, most), overflow=table.num_rows > most)
        return Reply(body, headers=VOTABLE)

    def database(self) -> duckdb.DuckDBPyConnection:
        if self._database is None:
            self._database = duckdb.connect()
            self._database.execute(MACROS)
            for name, table in self.catalogue().items():
                self._database.register("given", table)
                self._database.execute(f"CREATE TABLE caom2.{name} AS SELECT * FROM given")
        return self._database.cursor()

    def catalogue(self) -> dict[str, pa.Table]:
        """``caom2.Observation``, ``Plane`` and ``Artifact``."""
        tiles = sorted({m[2] + m[3] for m in map(NAME.fullmatch, self.files) if m})
        observations = [
            {"obsID": f"o{tile}", "observationID": f"CFHTLS_W_{tile}", "collection": "CFHTTERAPIX",
             "target_name": "W1.+2+3"} for tile in tiles
        ]  # fmt: skip
        planes, artifacts = [], []
        for name in sorted(self.files):
            match = NAME.fullmatch(name)
            tile = match[2] + match[3]
            band = "i.MP9702" if match[1] == "i" and tile in self.new_i else FILTERS[match[1]]
            planes.append(self.plane(tile, name, band))
            artifacts.append(self.artifact(name, "science", self.content(name)))
            weight = name.replace(".fits", "_weight.fits")
            artifacts.append({**self.artifact(weight, "weight", b""), "planeID": f"p{name}"})
        for tile in tiles:
            name = f"CFHTLS_W_gri_{tile}_T0007_MEDIAN.fits"
            planes.append(self.plane(tile, name, "gri"))
            artifacts.append(self.artifact(name, "science", b"composite"))
            preview = self.artifact(name.replace(".fits", ".png"), "preview", b"")
            artifacts.append({**preview, "planeID": f"p{name}"})
        return {"Observation": pa.Table.from_pylist(observations),
                "Plane": pa.Table.from_pylist(planes),
                "Artifact": pa.Table.from_pylist(artifacts)}  # fmt: skip

    def plane(self, tile: str, name: str, band: str) -> dict[str, object]:
        ra, dec = centre(tile[:6], tile[6:])
        return {"obsID": f"o{tile}", "planeID": f"p{name}", "productID": name.partition(".fits")[0],
                "provenance_version": "T0007", "energy_bandpassName": band,
                "position_bounds": {"ra": ra, "dec": dec, "half": 0.5}}  # fmt: skip

    def artifact(self, name: str, kind: str, content: bytes) -> dict[str, object]:
        md5 = f"md5:{hashlib.md5(content).hexdigest()}" if self.checksums else None
        return {"planeID": f"p{name}", "uri": f"cadc:CFHTTERAPIX/{name}", "productType": kind,
                "contentLength": len(content), "contentChecksum": md5,
                "contentType": "application/fits"}  # fmt: skip

    # pixels --------------------------------------------------------------------------------------

    def cutout(self, request: Request) -> Reply:
        if self.private:
            return self.to_login(request)
        uri, place = request.query.get("ID", ""), request.query.get("POS", "").split()
        if not uri:
            return Reply(b"UsageFault: missing ID", 400, TEXT)
        name = uri.removeprefix("cadc:CFHTTERAPIX/")
        if name not in self.files:
            return Reply(f"NotFoundFault: {uri}".encode(), 404, TEXT)
        if len(place) != 4 or place[0] != "CIRCLE":
            return Reply(b"UsageFault: invalid POS", 400, TEXT)
        body = circle_cutout(self.content(name), *(float(text) for text in place[1:]))
        if body is None and self.no_overlap == "204":
            return Reply(b"", 204)
        if body is None:
            return Reply(b"UsageFault: no overlap between POS and the data", 400, TEXT)
        return Reply(body, headers={"Content-Type": "application/fits"})

    def whole(self, request: Request, path: str) -> Reply:
        if self.private:
            return self.to_login(request)
        collection, _, name = path.removeprefix("/data/pub/").partition("/")
        if collection != "CFHTTERAPIX" or name not in self.files:
            return Reply(f"not found: {path}".encode(), 404, TEXT)
        body = self.content(name)
        if not self.compressed:
            return ranged(request, body)
        reply = ranged(request, gzip.compress(body, mtime=0))
        if self.compressed == "encoding":
            headers = {**reply.headers, "Content-Encoding": "gzip"}
            return Reply(reply.body, reply.status, headers)
        return reply

    def to_login(self, request: Request) -> Reply:
        target = f"{self.url}/data/auth/{request.path.rsplit('/', 1)[1]}"
        return Reply(b"", 302, {"Location": target})

    def spoil(self, fault: Fault, request: Request) -> Reply | None:
        if fault.kind == "href":
            return Reply(elsewhere(f"{self.url}/stolen"), headers=VOTABLE)
        return super().spoil(fault, request)


def circle_cutout(content: bytes, ra: float, dec: float, radius: float) -> bytes | None:
    """The bounding box of a circle, clipped at the file's edge; None where it misses the file."""
    with fits.open(io.BytesIO(content)) as hdus:
        image, header = hdus[0].data, hdus[0].header.copy()
    wcs = WCS(header)
    x, y = wcs.all_world2pix(ra, dec, 0)
    reach = radius / math.sqrt(abs(np.linalg.det(wcs.wcs.cd)))
    low = [max(0, math.floor(at - reach)) for at in (x, y)]
    high = [
        min(n, math.ceil(at + reach) + 1) for at, n in zip((x, y), image.shape[::-1], strict=True)
    ]
    if high[0] <= low[0] or high[1] <= low[1]:
        return None
    header["CRPIX1"] -= low[0]
    header["CRPIX2"] -= low[1]
    file = io.BytesIO()
    fits.PrimaryHDU(image[low[1] : high[1], low[0] : high[0]], header).writeto(file)
    return file.getvalue()


def elsewhere(address: str) -> bytes:
    """A VOTable whose stream lies at an address."""
    return (
        f'{HEAD}<RESOURCE type="results">{info("QUERY_STATUS", "OK")}<TABLE>'
        '<FIELD name="uri" datatype="char" arraysize="*"/><DATA><BINARY>'
        f"<STREAM href={json.dumps(address)}/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()
