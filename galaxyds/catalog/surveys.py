"""The redshift surveys of Ait-Ouahmed et al. (2023, Table 1), as data.

What is not verified stands in ``unverified`` of each survey and nowhere else, and is shown in
docs/redshift_surveys.md; a column or a meaning that turns out otherwise is corrected here.
"""

from __future__ import annotations

from galaxyds.catalog.specz import RawColumn, RedshiftSurvey, VizierTable

RA_NAMES = ("_RAJ2000", "RAJ2000", "RA_ICRS", "RAdeg", "ra", "alpha", "alpha_j2000")
DEC_NAMES = ("_DEJ2000", "DEJ2000", "DE_ICRS", "DEdeg", "DECdeg", "dec", "delta", "delta_j2000")


def _columns(ra: str, dec: str, *others: RawColumn) -> tuple[RawColumn, ...]:
    """Position columns under their first names, with all names that they have elsewhere."""
    return (
        RawColumn(name=ra, also=tuple(name for name in RA_NAMES if name != ra)),
        RawColumn(name=dec, also=tuple(name for name in DEC_NAMES if name != dec)),
        *others,
    )


def _class(flag: str) -> str:
    """Quality class of a flag of the VVDS family: tens and decimals say other things."""
    return f"(TRY_CAST(trunc({flag}) AS BIGINT) % 10)"


def _secure(flag: str) -> str:
    return f"{_class(flag)} IN (3, 4)"


_PAPER = "that 3 and 4 are the secure flags, in the paper's words"
_TENS = "that the digits before the last say what the object is, and decimals other things"
_FAMILY_LIKELY = "that its flags are those of VVDS"

_SDSS = (
    RedshiftSurvey(
        name="sdss-main", number=1, title="SDSS DR12 main galaxy sample",
        reference="Alam et al. 2015, ApJS 219, 12",
        where="SkyServer, SpecObjAll; its spectra are also in sdss-boss, which is read from VizieR",
        columns=_columns(
            "ra", "dec", RawColumn(name="z"), RawColumn(name="zWarning"),
            RawColumn(name="class", dtype="string"), RawColumn(name="petroMag_r", optional=True),
        ),
        ra="ra", dec="dec", redshift="z", flag="TRY_CAST(zWarning AS BIGINT)",
        sentinel="class = 'STAR'", secure="zWarning = 0 AND class = 'GALAXY'", confidence="4",
        limits="z <= 0.4 AND (petroMag_r IS NULL OR petroMag_r BETWEEN 0 AND 17.8)",
        verified=("columns and zWarning = 0", "r < 17.8 and z <= 0.4 are the paper's"),
    ),
    RedshiftSurvey(
        name="sdss-boss", number=2, title="SDSS and BOSS DR16",
        reference="Ahumada et al. 2020, ApJS 249, 3", where="VizieR V/154/sdss16; SkyServer",
        vizier=(VizierTable(name="V/154/sdss16", conditions=(("zsp", ">-1"),)),),
        columns=_columns(
            "RA_ICRS", "DE_ICRS", RawColumn(name="zsp", also=("z",)),
            RawColumn(name="f_zsp", also=("zWarning",)),
            RawColumn(name="spCl", also=("class",), dtype="string"),
        ),
        ra="RA_ICRS", dec="DE_ICRS", redshift="zsp", flag="TRY_CAST(f_zsp AS BIGINT)",
        sentinel="upper(spCl) = 'STAR'", secure="f_zsp = 0 AND upper(spCl) = 'GALAXY'",
        confidence="4",
        verified=(
            "the table and its columns, as others use them", "zWarning = 0 of the SDSS database",
        ),
        unverified=(
            "that f_zsp is zWarning", "that the paper leaves quasars out, as is done here",
        ),
    ),
)  # fmt: skip

_WIDE = (
    RedshiftSurvey(
        name="gama", number=3, title="GAMA DR3", reference="Baldry et al. 2018, MNRAS 474, 3875",
        where="VizieR J/MNRAS/474/3875/gamadr3; gama-survey.org, SpecObj",
        vizier=(VizierTable(name="J/MNRAS/474/3875/gamadr3"),),
        columns=_columns(
            "RAJ2000", "DEJ2000", RawColumn(name="z"), RawColumn(name="q_z", also=("nQ",)),
            RawColumn(name="IsBest", also=("IS_BEST",), optional=True),
        ),
        ra="RAJ2000", dec="DEJ2000", redshift="z", flag="TRY_CAST(q_z AS BIGINT)",
        sentinel="z <= 0.002", secure="q_z >= 3 AND COALESCE(IsBest, 1) = 1",
        confidence="least(q_z, 4)",
        verified=("the table and q_z, as others use them",),
        unverified=(
            "that IsBest is in DR3 as it is in DR4",
            "that 3 and 4 are secure, and that z <= 0.002 are stars",
        ),
    ),
    RedshiftSurvey(
        name="wigglez", number=4, title="WiggleZ, final release",
        reference="Drinkwater et al. 2018, MNRAS 474, 4151",
        where="VizieR J/MNRAS/474/4151/wigglez",
        vizier=(VizierTable(name="J/MNRAS/474/4151/wigglez"),),
        columns=_columns("RAJ2000", "DEJ2000", RawColumn(name="z"), RawColumn(name="q_z")),
        ra="RAJ2000", dec="DEJ2000", redshift="z", flag="TRY_CAST(q_z AS BIGINT)",
        sentinel="q_z = 6", secure="q_z IN (3, 4, 5)", confidence="least(q_z, 4)",
        verified=("the table and its columns, as others use them",),
        unverified=("that 3 is reasonable, 4 secure, 5 excellent and 6 a star",),
    ),
    RedshiftSurvey(
        name="deep2", number=8, title="DEEP2 DR4", reference="Newman et al. 2013, ApJS 208, 5",
        where="deep.ps.uci.edu/DR4, zcat.deep2.dr4.fits (unpacked)",
        columns=_columns(
            "RA", "DEC", RawColumn(name="ZBEST", also=("Z",)), RawColumn(name="ZQUALITY"),
            RawColumn(name="CLASS", dtype="string", optional=True),
        ),
        ra="RA", dec="DEC", redshift="ZBEST", flag="TRY_CAST(ZQUALITY AS BIGINT)",
        sentinel="ZQUALITY < 0 OR upper(CLASS) = 'STAR'", secure="ZQUALITY IN (3, 4)",
        confidence="ZQUALITY",
        verified=("columns, from the survey's own list of tags", "ZQUALITY >= 3, as others use it"),
        unverified=("that 3 is right in 95 % and 4 in 99.5 %, -1 a star, -2 a bad spectrum",),
    ),
)  # fmt: skip

_VIMOS = (
    RedshiftSurvey(
        name="zcosmos", number=5, title="zCOSMOS-bright",
        reference="Lilly et al. 2007, ApJS 172, 70; Lilly et al. 2009, ApJS 184, 218",
        where="DR3: cesam.lam.fr/zCosmos (text) and ESO phase 3; DR2: VizieR J/ApJS/184/218/table3",
        vizier=(VizierTable(name="J/ApJS/184/218/table3"),),
        columns=_columns(
            "RAJ2000", "DEJ2000", RawColumn(name="z", also=("zspec", "z_spec")),
            RawColumn(name="CClass", also=("zflag", "cc")),
        ),
        ra="RAJ2000", dec="DEJ2000", redshift="z", flag="CClass",
        sentinel="z >= 9.9 OR CClass < 0", secure=_secure("CClass"), confidence=_class("CClass"),
        verified=(
            "columns and sentinels of the text file (0, 9.9999, -99.9)",
            "the table at VizieR, and its columns, as others use them",
            "that 3 and 4 are secure classes, as the HSC survey uses them",
        ),
        unverified=(_TENS, "that 2.5, 9.5 and others that the team trusts are not meant"),
    ),
    RedshiftSurvey(
        name="vandels", number=6, title="VANDELS DR4",
        reference="Garilli et al. 2021, A&A 647, A150",
        where="VizieR J/A+A/647/A150, tables cdfs and uds; ESO phase 3",
        vizier=(VizierTable(name="J/A+A/647/A150/cdfs"), VizierTable(name="J/A+A/647/A150/uds")),
        columns=_columns(
            "_RAJ2000", "_DEJ2000", RawColumn(name="zspec", also=("z_spec",)),
            RawColumn(name="zflg", also=("zflag", "zflags")),
        ),
        ra="_RAJ2000", dec="_DEJ2000", redshift="zspec", flag="zflg",
        sentinel="zspec >= 9.9 OR zflg < 0", secure=_secure("zflg"), confidence=_class("zflg"),
        verified=("the tables, as others use them",),
        unverified=("columns", _FAMILY_LIKELY),
    ),
    RedshiftSurvey(
        name="udsz", number=7, title="UDSz",
        reference="McLure et al. 2013, MNRAS 428, 1088; Bradshaw et al. 2013, MNRAS 433, 194",
        where="nottingham.ac.uk/astronomy/UDS/UDSz (text)",
        columns=_columns(
            "ra", "dec", RawColumn(name="z", also=("zspec", "z_spec", "redshift")),
            RawColumn(name="flag", also=("zflag", "quality"), dtype="string"),
        ),
        ra="ra", dec="dec", redshift="z", flag="flag", sentinel="z >= 9.9",
        secure="upper(flag) IN ('A', 'B') OR TRY_CAST(flag AS DOUBLE) IN (3, 4)",
        confidence="CASE WHEN upper(flag) = 'A' OR TRY_CAST(flag AS DOUBLE) = 4 THEN 4 ELSE 3 END",
        unverified=("columns", "that A and B, or 4 and 3, are the secure flags"),
    ),
    RedshiftSurvey(
        name="vvds", number=9, title="VVDS, final release (Wide, Deep, UltraDeep)",
        reference="Le Fevre et al. 2013, A&A 559, A14",
        where="cesam.lam.fr/vvds (text); Deep of 2005: VizieR III/250/vvds_dp",
        vizier=(VizierTable(name="III/250/vvds_dp"),),
        columns=_columns("_RAJ2000", "_DEJ2000", RawColumn(name="Z"), RawColumn(name="ZFLAGS")),
        ra="_RAJ2000", dec="_DEJ2000", redshift="Z", flag="ZFLAGS",
        sentinel="Z >= 9.9 OR ZFLAGS < 0", secure=_secure("ZFLAGS"), confidence=_class("ZFLAGS"),
        verified=("columns of the text file, stars at z = 0", "the table at VizieR", _PAPER),
        unverified=("that the table at VizieR has columns Z and ZFLAGS", _TENS),
    ),
    RedshiftSurvey(
        name="vipers", number=10, title="VIPERS PDR2",
        reference="Scodeggio et al. 2018, A&A 609, A84",
        where="VizieR J/A+A/609/A84, tables vipersw1 and vipersw4; vipers.inaf.it",
        vizier=(
            VizierTable(name="J/A+A/609/A84/vipersw1"), VizierTable(name="J/A+A/609/A84/vipersw4"),
        ),
        columns=_columns(
            "RAJ2000", "DEJ2000", RawColumn(name="zsp", also=("zspec",)), RawColumn(name="zflg"),
        ),
        ra="RAJ2000", dec="DEJ2000", redshift="zsp", flag="zflg",
        sentinel="zsp >= 9.9 OR zflg < 0", secure=_secure("zflg"), confidence=_class("zflg"),
        verified=("the tables and their columns, as others use them", _PAPER),
        unverified=(_TENS, "that 9.9999 is no redshift"),
    ),
    RedshiftSurvey(
        name="vuds", number=11, title="VUDS DR1", reference="Le Fevre et al. 2015, A&A 576, A79",
        where="cesam.lam.fr/vuds (text); VizieR J/A+A/600/A110",
        columns=_columns(
            "ra", "dec", RawColumn(name="z_spec", also=("zspec", "z")),
            RawColumn(name="zflags", also=("zflag", "zflg")),
        ),
        ra="ra", dec="dec", redshift="z_spec", flag="zflags",
        sentinel="z_spec >= 9.9 OR zflags < 0", secure=_secure("zflags"),
        confidence=_class("zflags"), unverified=("columns", _FAMILY_LIKELY),
    ),
)  # fmt: skip

_HIGH = (
    RedshiftSurvey(
        name="clamato", number=12, title="CLAMATO DR1", reference="Lee et al. 2018, ApJS 237, 31",
        where="clamato.lbl.gov, DR1 (the paper's; DR2 is VizieR J/ApJS/263/27)",
        columns=_columns(
            "ra", "dec", RawColumn(name="zspec", also=("z_spec", "z")),
            RawColumn(name="conf", also=("quality", "flag")),
        ),
        ra="ra", dec="dec", redshift="zspec", flag="TRY_CAST(conf AS BIGINT)",
        sentinel="zspec >= 9.9", secure="conf >= 3", confidence="least(conf, 4)",
        unverified=("columns", "that the confidence runs from 0 to 4, and from 3 on is secure"),
    ),
    RedshiftSurvey(
        name="c3r2", number=13, title="C3R2",
        reference="Masters et al. 2017, 2019, ApJ 841, 111; ApJ 877, 81",
        where="Keck release page, DR1 and DR2 (papers' tables, VizieR J/ApJ/841/111, J/ApJ/877/81)",
        columns=_columns(
            "RAdeg", "DEdeg", RawColumn(name="zspec", also=("z_spec", "z")),
            RawColumn(name="Qual", also=("quality", "q")),
        ),
        ra="RAdeg", dec="DEdeg", redshift="zspec", flag="Qual", sentinel="zspec >= 9.9",
        secure="Qual >= 3 AND Qual < 5", confidence="floor(Qual)",
        unverified=("columns", "that 4 is certain and 3 to 3.9 usable, and that failures are < 0"),
    ),
    RedshiftSurvey(
        name="cosmos", number=14, title="Spectroscopic redshifts of the COSMOS team",
        reference="Salvato, private communication to the authors of the paper",
        where="private: nobody but its owners can give it",
        columns=_columns(
            "ra", "dec", RawColumn(name="z_spec", also=("zspec", "z")),
            RawColumn(name="Q_f", also=("flag", "zflag", "quality")),
        ),
        ra="ra", dec="dec", redshift="z_spec", flag="Q_f", sentinel="z_spec >= 9.9 OR Q_f < 0",
        secure=_secure("Q_f"), confidence=_class("Q_f"),
        unverified=("columns", _FAMILY_LIKELY),
    ),
)  # fmt: skip

_PHOTO_Z = ("lp_zBEST_classic", "ez_z_phot_classic", "lp_zBEST_farmer", "ez_z_phot_farmer")
_MEAN = f"(({' + '.join(_PHOTO_Z)}) / 4)"
_SIGMA = f"list_stddev_pop([{', '.join(_PHOTO_Z)}])"

_TESTS = (
    RedshiftSurvey(
        name="3d-hst", number=15, title="3D-HST v4.1.5",
        reference="Momcheva et al. 2016, ApJS 225, 27; Skelton et al. 2014, ApJS 214, 24",
        where="3dhst.research.yale.edu, v4.1.5: positions of the photometric catalogue beside "
        "{field}_3dhst.v4.1.5.zbest and jh_mag of the line-matched catalogue, joined by object",
        columns=_columns(
            "ra", "dec", RawColumn(name="z_best"), RawColumn(name="z_best_s"),
            RawColumn(name="use_zgrism", also=("use_zgrism1",)), RawColumn(name="use_phot"),
            RawColumn(name="jh_mag"),
        ),
        ra="ra", dec="dec", redshift="z_best", flag="TRY_CAST(z_best_s AS BIGINT)",
        sentinel="z_best_s = 0", secure="z_best_s = 2 AND use_zgrism = 1 AND use_phot = 1",
        limits="jh_mag <= 24", confidence="2", sample="test_3dhst",
        verified=("columns, as others use them", "grism only and H <= 24 are the paper's"),
        unverified=(
            "that z_best_s is 1 for a spectrum, 2 for the grism, 3 for photometry, 0 for a star",
            "that the paper's H is jh_mag",
        ),
    ),
    RedshiftSurvey(
        name="primus", number=16, title="PRIMUS DR1",
        reference="Coil et al. 2011, ApJ 741, 8; Cool et al. 2013, ApJ 767, 118",
        where="primus.ucsd.edu, PRIMUS_2013_zcat_v1.fits (unpacked)",
        columns=_columns(
            "RA", "DEC", RawColumn(name="Z"), RawColumn(name="ZQUALITY"),
            RawColumn(name="CLASS", dtype="string", optional=True),
            RawColumn(name="imag", also=("mag_i", "i_mag"), optional=True),
        ),
        ra="RA", dec="DEC", redshift="Z", flag="TRY_CAST(ZQUALITY AS BIGINT)",
        sentinel="upper(CLASS) = 'STAR'", secure="ZQUALITY = 4",
        limits="Z <= 0.9 AND (imag IS NULL OR imag <= 22.5)", confidence="2", sample="test_primus",
        verified=("that RA, DEC and Z are columns", "i <= 22.5 and z <= 0.9 are the paper's"),
        unverified=(
            "that 4 is the most secure quality, and CLASS the word STAR",
            "that the table has an i magnitude: where it has none, i <= 22.5 is not applied here",
        ),
    ),
    RedshiftSurvey(
        name="cosmos2020", number=17, title="COSMOS2020 (photometric redshifts)",
        reference="Weaver et al. 2022, ApJS 258, 11",
        where="cosmos2020.calet.org: COSMOS2020_CLASSIC and COSMOS2020_FARMER, R1 (FITS), renamed "
        "cosmos2020-classic.fits and cosmos2020-farmer.fits",
        columns=(
            RawColumn(name="ALPHA_J2000_classic", also=("ALPHA_J2000", "ra")),
            RawColumn(name="DELTA_J2000_classic", also=("DELTA_J2000", "dec")),
            *(RawColumn(name=name) for name in _PHOTO_Z),
            RawColumn(name="lp_type_classic", optional=True),
            RawColumn(name="lp_type_farmer", optional=True),
        ),
        parts=("classic", "farmer"),
        ra="ALPHA_J2000_classic", dec="DELTA_J2000_classic", redshift=_MEAN,
        flag="printf('%.4f', " + _SIGMA + ")",
        sentinel=" OR ".join(f"COALESCE({name}, -1) <= 0" for name in _PHOTO_Z)
        + " OR lp_type_classic = 1 OR lp_type_farmer = 1",
        secure=f"{_SIGMA} <= 0.1 * (1 + {_MEAN})", confidence="1", sample="test_cosmos2020",
        verified=(
            "columns, as others use them",
            "mean, standard deviation of the four photometric redshifts and bound are the paper's",
        ),
        unverified=(
            "that lp_type 1 is a star and that codes are not above 0",
            "that the standard deviation is that of a population (divided by 4, not by 3)",
            "that i <= 26.5 of Table 1, which is not applied here, describes the catalogue",
        ),
    ),
)  # fmt: skip

SURVEYS: tuple[RedshiftSurvey, ...] = tuple(
    sorted((*_SDSS, *_WIDE, *_VIMOS, *_HIGH, *_TESTS), key=lambda survey: survey.number)
)
"""All of Table 1: 1 to 14 are learnt from, 15 to 17 are for testing only."""


def survey_named(name: str) -> RedshiftSurvey:
    """Return the survey of a name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {survey.name: survey for survey in SURVEYS}[name]
