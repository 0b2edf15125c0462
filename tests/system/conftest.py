"""The package under test, built once, and Debians that have it."""

from __future__ import annotations

import contextlib
import os

import pytest

import booted_debian as bed
import built_package
from installed_server import InstalledServer

NOTED = pytest.StashKey()


def _need(reason):
    """Skip for this reason; in CI that is a failure."""
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    _need(built_package.why_not())
    return built_package.built_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def boot_server(package):
    """A function that boots this Debian, with a Postfix that nobody guards yet."""
    _need(bed.why_not())

    @contextlib.contextmanager
    def boot(suite):
        with bed.booted_debian(suite, source=False) as debian:
            yield InstalledServer(debian, suite)

    return boot


@pytest.fixture(scope="session")
def note(pytestconfig):
    """A function that notes how long something took, or its size, for the table at the end."""
    noted = pytestconfig.stash.setdefault(NOTED, [])
    return lambda suite, what, size, unit="s": noted.append((what, suite, size, unit))


def pytest_collection_modifyitems(config, items):
    """POSTKEEL_SUITE picks a release, so that each can be tested in a process of its own."""
    wanted = os.environ.get("POSTKEEL_SUITE")
    away = [one for one in items if wanted and _suite(one) not in {None, wanted}]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [one for one in items if one not in away]


def _suite(item):
    """The release that a test boots, "trixie" where that is all one; None when it boots none."""
    if item.get_closest_marker("system") is None:
        return None
    arguments = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((one for one in arguments if one in bed.SUITES), "trixie")


def pytest_terminal_summary(terminalreporter, config):
    for what, suite, size, unit in sorted(config.stash.get(NOTED, [])):
        terminalreporter.write_line(f"{what:<56} {suite:<9} {size:6.2f} {unit}")
