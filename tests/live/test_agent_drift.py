"""Whoever weakens main.cf or master.cf, and however he writes: corrected and proved."""

import os
import re
import subprocess
import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"
PORT_25 = re.compile(r"(?m)^(smtp +inet .*)$")
FILES = ["main.cf", "master.cf"]
PROOF = "refuses protocols older than TLSv1.2"


def in_place(path, text):
    path.write_text(text)


def truncated_first(path, text):
    os.truncate(path, 0)
    with path.open("r+") as file:
        file.write(text)


def renamed_over(path, text):
    other = path.with_name(path.name + ".new")
    other.write_text(text)
    other.rename(path)


def an_older_copy(path, text):
    other = path.with_name(path.name + ".bak")
    other.write_text(text)
    os.utime(other, (1e9, 1e9))
    other.rename(path)


def as_vim_does(path, text):
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text)


def removed_and_made_anew(path, text):
    path.unlink()
    path.write_text(text)


def a_link_in_its_place(path, text):
    other = path.with_name(f"weak-{path.name}")
    other.write_text(text)
    subprocess.run(["ln", "-sfn", other.name, path], check=True)


WAYS = [
    in_place,
    truncated_first,
    renamed_over,
    an_older_copy,
    as_vim_does,
    removed_and_made_anew,
    a_link_in_its_place,
]


def file_of(hardened, name):
    return hardened.postfix.main_cf.with_name(name)


def weakened(hardened, name):
    if name == "main.cf":
        return hardened.main_cf.replace(STRONG, WEAK)
    return PORT_25.sub(r"\1\n  -o smtpd_tls_security_level=none", hardened.master_cf)


def corrected(one, hardened):
    report = one.report_with("fixed 1: ")
    assert hardened.is_right()
    return report


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_writing_is_seen(hardened, module_agent, way, name):
    way(file_of(hardened, name), weakened(hardened, name))
    report = corrected(module_agent, hardened)
    assert PROOF in report
    assert "cause: " in report
    assert file_of(hardened, name).is_symlink() == (way is a_link_in_its_place)


COMMANDS = {
    "postconf -e": ["postconf", "-c", "{directory}", "-e", "smtpd_tls_protocols=>=TLSv1"],
    "postconf -# of a needed value": ["postconf", "-c", "{directory}", "-#", "smtpd_tls_protocols"],
    "postconf -P": [
        "postconf",
        "-c",
        "{directory}",
        "-P",
        "smtp/inet/smtpd_tls_security_level=none",
    ],
    "sed -i": ["sed", "-i", f"s/^{STRONG}$/{WEAK}/", "{directory}/main.cf"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_each_tool_is_seen(hardened, module_agent, words):
    directory = hardened.postfix.config_directory
    subprocess.run([word.format(directory=directory) for word in words], check=True)
    report = module_agent.report_with("fixed 1: ")
    assert PROOF in report
    assert hardened.postfix.postconf("-h", "smtpd_tls_protocols").strip() == ">=TLSv1.2"
    assert "security_level=none" not in hardened.postfix.master_cf.read_text()


def test_a_link_is_followed_and_stays(hardened, module_agent):
    """main.cf leads to a directory of profiles, and is switched to a weaker one and back."""
    main_cf = hardened.postfix.main_cf
    elsewhere = hardened.postfix.directory / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "strong.cf").write_text(hardened.main_cf)
    (elsewhere / "weak.cf").write_text(weakened(hardened, "main.cf"))
    main_cf.unlink()
    main_cf.symlink_to("../elsewhere/strong.cf")
    time.sleep(0.2)  # nothing is wrong: no report
    assert module_agent.reports_now() == []
    subprocess.run(["ln", "-sfn", "../elsewhere/weak.cf", main_cf], check=True)
    corrected(module_agent, hardened)
    assert os.readlink(main_cf) == "../elsewhere/weak.cf"
    assert (elsewhere / "weak.cf").read_text() == hardened.main_cf
    hardened.calm()
    (elsewhere / "weak.cf").write_text(weakened(hardened, "main.cf"))
    corrected(module_agent, hardened)
    assert main_cf.is_symlink()


def test_fifty_edits_at_once_are_few_rounds(hardened, module_agent):
    """With Postfix stopped: `Hardened.calm` says why."""
    hardened.postfix.stop()
    before = len(module_agent.history())
    for number in range(50):
        weak = hardened.main_cf.replace(STRONG, f"{WEAK}\n# edit {number}")
        renamed_over(hardened.postfix.main_cf, weak)
        time.sleep(0.0015)
    until(lambda: WEAK + "\n" not in hardened.postfix.main_cf.read_text())
    module_agent.report_with("fixed 1: ")
    assert "# edit 49" in hardened.postfix.main_cf.read_text()
    assert len(module_agent.history()) - before <= 4
