"""A whole Debian 12 becomes Debian 13, with postkeel on it and at work."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

import booted_debian as bed
from installed_server import SIDES

pytestmark = pytest.mark.system


@pytest.fixture(params=["bookworm"])
def server(request, boot_server, package):
    with boot_server(request.param) as booted:
        booted.install(package)
        yield booted


WAIVERS = "".join(
    f'[[waiver]]\nrule = "{rule}"\nreason = "ssl-cert"\nowner = "tests"\nuntil = 2099-12-31\n'
    for rule in ("certificate-chain", "certificate-names")
)


def upgrade(server):
    """To Debian 13, TLS switched off before dpkg begins; what is left of that when it is done."""
    script = (
        f"mv {bed.NEXT}/sources.list /etc/apt/; rm -r /var/lib/apt/lists /var/cache/apt/archives;"
        f"mv {bed.NEXT}/lists /var/lib/apt/; mv {bed.NEXT}/archives /var/cache/apt/"
    )
    server.run("sh", "-c", script)
    # ssl-cert makes its certificate anew.
    server.debian.write("/etc/postkeel/conf.d/upgrade.toml", WAIVERS)
    server.run("systemctl", "reload", "postkeel")
    return server.apt_while_it_drifts("full-upgrade")


def runs_the_new_python(server):
    """Nothing of the old one is left to run in, or to import from later."""
    programs = {
        server.run("readlink", f"/proc/{server.process(side)}/exe", may_fail=True).strip()
        for side in SIDES
    }
    return programs == {"/usr/bin/python3.13"}


def test_it_guards_through_the_upgrade_to_debian_13(server, note):
    before = server.version("postfix")
    mark = datetime.now(UTC)
    began = time.monotonic()
    assert upgrade(server) == {"none"}
    upgraded = time.monotonic()
    note("bookworm", "apt-get full-upgrade to trixie", upgraded - began)
    report = server.reported("fixed", mark)
    note("bookworm", "from the end of full-upgrade to corrected", time.monotonic() - upgraded)
    assert f"postfix {before} -> {server.version('postfix')}" in report["cause"]
    assert "openssl" in report["cause"]
    assert "default" in report["cause"]
    server.prove()
    server.give_certificate()
    server.debian.apt("autoremove", "--purge")
    server.until(lambda: runs_the_new_python(server))
    server.until(server.are_up)
    server.corrects(server.weaken)
    assert server.is_as_wanted()
    mark = datetime.now(UTC)
    server.debian.reboot()
    server.reported("clean", mark)
    server.corrects(server.weaken)
