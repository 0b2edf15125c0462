"""Renewals on a booted Debian, by the packaged and sandboxed services: no hook, no reload by hand.

The files lie as certbot lays them: archive/NAME/privkey1.pem with links from live/NAME, all
behind directories of mode 0700. One boot of each Debian serves all tests here, in their order;
each leaves behind a server that serves what its files hold. What is served is asked of
Postfix, from outside postkeel.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

import booted_debian as bed

pytestmark = pytest.mark.system

NAME = "mx.example.test"
OTHER = "mail.example.org"
LIVE = "/etc/letsencrypt/live"
JOINED = "/etc/postfix/postkeel-chain.pem"
TABLE = "/etc/postfix/sni"
HOOK = "/usr/share/doc/postkeel/examples/certbot/postkeel"
_AUTHORITY = """\
set -e
umask 077
mkdir -p /root/ca /etc/letsencrypt/live /etc/letsencrypt/archive
cd /root/ca
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $new -keyout root.key -out root.pem -subj "/CN=Test Root" -days 900
openssl req $new -keyout issuer.key -out issuer.csr -subj "/CN=Test Issuer"
printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n' >issuer.ext
openssl x509 -req -in issuer.csr -CA root.pem -CAkey root.key -set_serial 2 -days 600 \\
    -extfile issuer.ext -out issuer.pem
install -m 644 root.pem /usr/local/share/ca-certificates/test-root.crt
update-ca-certificates
"""
# As certbot: the archive is written first, then the links are moved, one after the other.
_RENEW = """\
set -e
umask 077
name=$1 number=$2 days=$3 key=${4:-}
mkdir -p "/etc/letsencrypt/archive/$name" "/etc/letsencrypt/live/$name"
cd "/etc/letsencrypt/archive/$name"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "privkey$number.pem" \\
    -out /root/ca/leaf.csr -subj "/CN=$name"
printf 'subjectAltName=DNS:%s\\nextendedKeyUsage=serverAuth\\n' "$name" >/root/ca/leaf.ext
openssl x509 -req -in /root/ca/leaf.csr -CA /root/ca/issuer.pem -CAkey /root/ca/issuer.key \\
    -set_serial "$(date +%s%N)" -days "$days" -extfile /root/ca/leaf.ext -out "cert$number.pem"
umask 022
cp /root/ca/issuer.pem "chain$number.pem"
cat "cert$number.pem" "chain$number.pem" >"fullchain$number.pem"
[ -z "$key" ] || cat "$key" >"privkey$number.pem"
for kind in cert privkey chain fullchain; do
    ln -sfn "../../archive/$name/$kind$number.pem" "/etc/letsencrypt/live/$name/$kind.pem"
done
"""
_SERVED = """\
import hashlib, smtplib, ssl, sys
context = ssl._create_unverified_context()
with smtplib.SMTP("127.0.0.1", 25, "client.example", 20) as session:
    session.ehlo()
    session.docmd("STARTTLS")
    secured = context.wrap_socket(session.sock, server_hostname=sys.argv[1])
    print(hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest())
    secured.close()
    session.sock = session.file = None
"""


class Renewer:
    """A server, and a renewer's directories on it."""

    def __init__(self, server):
        self.server = server
        self.run = server.run
        self.numbers = {}
        self.run("bash", "-c", _AUTHORITY)
        server.debian.write("/root/served.py", _SERVED)
        server.debian.write("/root/renew.sh", _RENEW)

    def renew(self, name, days=90, key=""):
        """A new certificate, with its key or that of another file; its sha256."""
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        self.run("bash", "/root/renew.sh", name, str(number), str(days), key)
        return self.digest(name)

    def step_back(self, name):
        """The links lead to the number before, as an administrator puts a renewal right."""
        number = self.numbers[name] - 1
        for kind in ("cert", "privkey", "chain", "fullchain"):
            archived = f"../../archive/{name}/{kind}{number}.pem"
            self.run("ln", "-sfn", archived, f"{LIVE}/{name}/{kind}.pem")

    def digest(self, name):
        words = ("-noout", "-fingerprint", "-sha256", "-in", f"{LIVE}/{name}/cert.pem")
        return (
            self.run("openssl", "x509", *words).partition("=")[2].strip().replace(":", "").lower()
        )

    def served(self, name=NAME):
        """The sha256 of what port 25 shows; "" when it shows nothing."""
        return self.run("python3", "/root/served.py", name, may_fail=True).strip()

    def is_served(self, digest, name=NAME):
        """Wait for it; seconds."""
        began = time.monotonic()
        said = f"{digest} is not served as {name}"
        self.server.until(lambda: self.served(name) == digest, otherwise=said)
        return time.monotonic() - began

    def is_watched(self, directory):
        """Wait until the agent has been told by main.cf of a certificate there, and is done."""

        def listed():
            status = json.loads(self.server.debian.read("/run/postkeel/status.json"))
            return directory in status["instances"][0]["watched"]

        self.server.until(listed, otherwise=f"{directory} is not watched")

    def journal(self, words):
        """Lines of the root side in the journal that have these words."""
        said = self.run("journalctl", "--no-pager", "-u", "postkeel", "--output=cat")
        return [line for line in said.splitlines() if words in line]

    def judged(self, mark):
        """Rule, outcome and all that is said of it, of each finding that was reported since."""
        return [
            (one["rule"], one["outcome"], json.dumps(one))
            for report in self.server.reports_since(mark)
            for one in report["judged"]
        ]

    def reported(self, rule, outcome, mark, words=""):
        """Wait until a finding of this rule, with these words, has come to this."""

        def is_there():
            return any((rule, outcome) == one[:2] and words in one[2] for one in self.judged(mark))

        self.server.until(is_there, otherwise=f"{rule} is not reported as {outcome}")

    def alarmed(self, rule, mark):
        """Wait until such a finding stands, and is not put right."""

        def stands():
            told = [outcome for found, outcome, _ in self.judged(mark) if found == rule]
            return told and "fixed" not in told

        self.server.until(stands, otherwise=f"no alarm of {rule}")

    def masters(self):
        """How often Postfix was reloaded."""
        said = self.run("journalctl", "--no-pager", "-t", "postfix/master", "--output=cat")
        return said.count("reload -- version")


@pytest.fixture(scope="module", params=bed.SUITES)
def booted(request, boot_server, package):
    """Hardened, and with the certificate that Debian's package ssl-cert made."""
    with boot_server(request.param) as server:
        server.install(package)
        yield Renewer(server)


@pytest.fixture
def renewer(booted):
    """What is served is what the files hold, also after a test that failed in its trouble."""
    if booted.numbers and booted.served() != booted.digest(NAME):
        booted.is_served(booted.renew(NAME))
    return booted


def test_without_a_certificate_that_of_the_renewer_is_set_up(renewer, note):
    new = renewer.renew(NAME)
    mark = datetime.now(UTC)
    renewer.run("postconf", "-X", "smtpd_tls_cert_file", "smtpd_tls_key_file")
    seconds = renewer.is_served(new)
    note(renewer.server.suite, "no certificate to the renewer's", seconds)
    renewer.reported("certificate-offered", "fixed", mark, JOINED)
    assert renewer.server.value("smtpd_tls_chain_files") == JOINED
    assert renewer.run("stat", "--format=%a %U %G", JOINED) == "600 root root\n"
    assert f"{LIVE}/{NAME}/privkey.pem" in renewer.run("head", "-n1", JOINED)


def test_a_joined_file_follows_a_renewal(renewer, note):
    mark = datetime.now(UTC)
    new = renewer.renew(NAME)
    note(renewer.server.suite, "renewal to served, joined file", renewer.is_served(new))
    renewer.reported("certificate-joined", "fixed", mark)
    assert renewer.run("stat", "--format=%a %U %G", JOINED) == "600 root root\n"


def test_a_broken_renewal_never_gets_into_the_joined_file(renewer):
    old, mark = renewer.digest(NAME), datetime.now(UTC)
    before = renewer.run("sha256sum", JOINED)
    renewer.renew(NAME, key="/root/ca/issuer.key")
    renewer.alarmed("certificate-joined", mark)
    renewer.run("postfix", "reload")
    assert renewer.served() == old
    assert renewer.run("sha256sum", JOINED) == before
    renewer.is_served(renewer.renew(NAME))


def test_a_renewal_behind_links_that_main_cf_names_is_live(renewer, note):
    renewer.run(
        *("postconf", "-e", f"smtpd_tls_cert_file={LIVE}/{NAME}/fullchain.pem"),
        *(f"smtpd_tls_key_file={LIVE}/{NAME}/privkey.pem", "smtpd_tls_chain_files="),
    )
    renewer.run("postfix", "reload")
    renewer.is_served(renewer.digest(NAME))
    renewer.server.until(renewer.server.is_as_wanted)
    for _ in range(3):
        mark = datetime.now(UTC)
        new = renewer.renew(NAME)
        note(renewer.server.suite, "renewal to served", renewer.is_served(new))
        renewer.reported("certificate-served", "fixed", mark)
    assert renewer.journal("certificate-served")


def test_a_broken_renewal_is_not_reloaded_and_alarms(renewer):
    old, mark = renewer.digest(NAME), datetime.now(UTC)
    reloads = renewer.masters()
    renewer.renew(NAME, key="/root/ca/issuer.key")
    renewer.alarmed("certificate-usable", mark)
    assert renewer.masters() == reloads
    assert renewer.journal("certificate-usable")
    renewer.step_back(NAME)
    renewer.is_served(old)


def test_an_indexed_table_is_built_anew(renewer, note):
    kind = renewer.run("postconf", "-h", "default_database_type").strip()
    first = renewer.renew(OTHER)
    files = f"{LIVE}/{OTHER}/privkey.pem {LIVE}/{OTHER}/fullchain.pem"
    renewer.server.debian.write(TABLE, f"{OTHER} {files}\n")
    renewer.run("postmap", "-F", f"{kind}:{TABLE}")
    renewer.run("postconf", "-e", f"tls_server_sni_maps={kind}:{TABLE}")
    renewer.run("postfix", "reload")
    renewer.is_served(first, OTHER)
    renewer.is_watched(f"{LIVE}/{OTHER}")
    mark = datetime.now(UTC)
    new = renewer.renew(OTHER)
    note(renewer.server.suite, "renewal to served, table", renewer.is_served(new, OTHER))
    renewer.reported("certificate-served", "fixed", mark, f"{kind}:{TABLE}")
    assert renewer.served() == renewer.digest(NAME)
    assert "postkeel" not in renewer.run("ls", "/etc/postfix").replace("postkeel-chain.pem", "")


def test_without_the_agent_the_hook_of_certbot_does_the_same(renewer):
    target = "/etc/letsencrypt/renewal-hooks/deploy/postkeel"
    renewer.run("install", "-D", "-m", "755", HOOK, target)
    renewer.run("systemctl", "stop", "postkeel")
    try:
        mark = datetime.now(UTC)
        new = renewer.renew(NAME)
        renewer.run(target)
        renewer.reported("certificate-served", "fixed", mark)
        renewer.is_served(new)
    finally:
        renewer.run("systemctl", "start", "postkeel")


def test_all_is_whole_after_a_reboot(renewer):
    renewer.server.debian.reboot()
    renewer.is_served(renewer.digest(NAME))
    renewer.is_served(renewer.digest(OTHER), OTHER)
    renewer.server.until(renewer.server.is_as_wanted)
    renewer.server.prove()
