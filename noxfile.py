"""`nox` runs what a change must pass; `nox -l` lists the rest."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the size and import rules of the house."""
    session.install("-e", ".[test,dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pytest", "-q", "tests/test_house.py")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict."""
    session.install("-e", ".[test,dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with branch coverage: 100 % of core/ and wire/."""
    session.install("-e", ".[local,test]")
    session.run("vantum-actors", "models", "fetch")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report", "--include=vantum/core/*,vantum/wire/*", "--fail-under=100")
    session.run("coverage", "report", "--skip-covered")


@nox.session
def properties(session: nox.Session) -> None:
    """The Hypothesis tests with many more examples."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "not local", "--hypothesis-profile=thorough", *session.posargs)


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
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive, and try the wheel in an environment of its own."""
    session.install("build")
    session.run("python", "-m", "build", "--outdir", "dist")
    session.run(
        "python",
        "-m",
        "pip",
        "install",
        "--force-reinstall",
        "--no-deps",
        "--find-links",
        "dist",
        "--no-index",
        "vantum",
    )
