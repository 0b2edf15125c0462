"""What happens on the host when the package comes, goes, or hears of another's upgrade."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEBIAN = Path(__file__).resolve().parents[2] / "packaging" / "debian"
SCRIPTS = ("postinst", "prerm", "postrm")
HERE_DOCUMENT = re.compile(r"\tcat <<-END\n.*?\n\t+END\n", re.DOTALL)
STATE = """\
mkdir -p /var/lib/postkeel/originals/%2Fetc%2Fpostfix /var/lib/postkeel/monitor /run/postkeel
printf 'before = yes\\n' > /var/lib/postkeel/originals/%2Fetc%2Fpostfix/main.cf
touch /var/lib/postkeel/history
"""


@pytest.fixture
def script(tmp_path):
    """A function: a maintainer script as it is in the source, at a place that `apart` leaves."""

    def copy(name):
        return shutil.copy(DEBIAN / f"postkeel.{name}", tmp_path)

    return copy


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_has_anything_to_do_with_postfix(package, name):
    text = (package.scripts / name).read_text()
    code = HERE_DOCUMENT.sub("", text)
    lines = [line for line in code.splitlines() if not line.lstrip().startswith("#")]
    assert not [
        line for line in lines if re.search(r"postfix|postconf|/etc\b", line, re.IGNORECASE)
    ]
    assert not re.search(r"debconf|read -r", code), "a question"


def test_the_triggers_are_those_of_postfix_openssl_and_python(package):
    lines = (package.scripts / "triggers").read_text().splitlines()
    told = [line.split() for line in lines if line and not line.startswith("#")]
    assert {kind for kind, _ in told} == {"interest-noawait"}, "nobody waits for postkeel"
    paths = {path for _, path in told}
    assert paths >= {"/usr/sbin/postfix", "/usr/lib/postfix", "/usr/share/postfix", "/etc/postfix"}
    assert paths >= {"/usr/bin/openssl", "/etc/ssl/openssl.cnf", "/usr/bin/python3"}
    found = subprocess.run(
        ["dpkg", "--search", "libssl.so.[0-9]*"], check=True, capture_output=True, text=True
    ).stdout
    packages = {line.split(":")[0] for line in found.splitlines()}
    assert any(f"/usr/share/doc/{one}" in paths for one in packages), packages


@pytest.mark.parametrize(
    ("prepared", "left"),
    [
        ("mkdir /run/postkeel", "/run/postkeel/packages"),
        ("true", ""),
        ("mkdir /run/postkeel; mount -t tmpfs -o ro tmpfs /run/postkeel", ""),
    ],
    ids=["guarded", "no agent yet", "nothing can be written"],
)
def test_a_trigger_leaves_word_for_the_agent_and_nothing_else(package, apart, prepared, left):
    done = apart(
        f'{prepared}\nsh -x "$1" triggered "/usr/sbin/postfix /usr/bin/openssl" 2>/var/lib/trace\n'
        "cat /var/lib/trace >&2; find /run -type f; find /var/backups -type f",
        package.scripts / "postinst",
    )
    assert done.stdout == (f"{left}\n" if left else "")
    calls = {line.split()[1] for line in done.stderr.splitlines() if line.startswith("+ ")}
    assert calls <= {"set", "[", "touch", "true", "exit"}


@pytest.mark.parametrize(
    "called",
    [
        *("postrm remove", "postrm upgrade", "postrm failed-upgrade", "postrm abort-install"),
        *("postrm abort-upgrade", "postrm disappear", "prerm remove", "prerm upgrade"),
        *("postinst configure", "postinst abort-upgrade", "postinst abort-remove"),
    ],
)
def test_nothing_but_a_purge_touches_state(apart, script, called):
    name, argument = called.split()
    done = apart(
        f'{STATE}sh "$1" "$2" 0.1.0 >/dev/null; find /var/lib/postkeel -type f',
        script(name),
        argument,
    )
    assert sorted(done.stdout.split()) == [
        "/var/lib/postkeel/history",
        "/var/lib/postkeel/originals/%2Fetc%2Fpostfix/main.cf",
    ]


def test_removal_says_how_to_have_the_original_configuration_back(apart, script):
    said = apart(f'{STATE}sh "$1" remove', script("prerm")).stdout
    assert "postkeel restore" in said
    assert "/var/lib/postkeel/originals" in said
    assert apart('sh "$1" remove', script("prerm")).stdout == ""
    assert apart(f'{STATE}sh "$1" upgrade', script("prerm")).stdout == ""


def test_a_purge_takes_all_but_the_originals_and_says_where_they_are(apart, script):
    done = apart(
        f'{STATE}sh "$1" purge; ls -d /var/lib/postkeel /run/postkeel 2>/dev/null || true\n'
        "find /var/backups -name main.cf -exec cat {} +; stat --format=%a /var/backups/postkeel-*\n"
        "find /var/backups -type f",
        script("postrm"),
    )
    *said, content, mode, kept = done.stdout.splitlines()
    assert "postkeel restore" in " ".join(said)
    assert f"{Path(kept).parent.parent}" in said
    assert not [line for line in said if line in {"/var/lib/postkeel", "/run/postkeel"}]
    assert (content, mode) == ("before = yes", "700")
    assert kept.endswith("/%2Fetc%2Fpostfix/main.cf")


def test_a_purge_of_what_never_changed_anything_says_nothing(apart, script):
    done = apart(
        "mkdir -p /var/lib/postkeel/monitor\n"
        'sh "$1" purge; sh "$1" purge; ls /var/lib /var/backups',
        script("postrm"),
    )
    assert done.stdout == "/var/backups:\n\n/var/lib:\n"


@pytest.mark.parametrize(
    ("prepared", "said", "left"),
    [
        ("true", "", ""),
        (": >/var/mail/_postkeel", "", ""),
        (
            "echo From >/var/mail/_postkeel",
            "postkeel: mail to the user _postkeel is left in /var/mail/_postkeel.\n",
            "/var/mail/_postkeel\n",
        ),
        ("ln -s /var/lib/of-another /var/mail/_postkeel; : >/var/lib/of-another", "", ""),
    ],
    ids=["no mailbox", "empty", "mail of somebody's", "a link"],
)
def test_a_purge_takes_an_empty_mailbox_and_no_mail(apart, script, prepared, said, left):
    done = apart(
        f'{prepared}\n: >/var/mail/alice; sh "$1" purge\n'
        "find /var/mail -name _postkeel; ls /var/mail/alice",
        script("postrm"),
    )
    assert done.stdout == f"{said}{left}/var/mail/alice\n"
