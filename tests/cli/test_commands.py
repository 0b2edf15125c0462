"""Each command doing its work: profiles, waivers, holds, restoring, history."""

from __future__ import annotations

import json
import os
from argparse import Namespace

import pytest

from postkeel.cli import restore
from postkeel.core.errors import PostkeelError
from postkeel.shell.dpkg_lock import LockHolder

OURS = """\
summary = "ours"
extends = "intermediate"

[rule.tls-log-level]
severity = "error"

[rule.received-header]
enabled = false

[rule.banner]
parameters = "smtpd_banner"
services = ["mx", "submission"]
comparison = "equals"
wanted = "$myhostname ESMTP"
value = "$myhostname ESMTP"
severity = "warning"
why = "The banner tells more than it has to."
references = ["postconf(5), smtpd_banner"]
"""


def findings(place, *words):
    (instance,) = place.json("check", *words)["instances"]
    return {one["rule"]: one for one in instance["findings"]}


def test_a_profile_of_one_s_own(place):
    place.profile("ours", OURS)
    shipped = findings(place)
    assert shipped["tls-log-level"]["severity"] == "warning"
    assert "received-header" in shipped
    own = findings(place, "--profile", "ours")
    assert own["tls-log-level"]["severity"] == "error"
    assert "received-header" not in own
    assert own["banner"]["wanted"] == "$myhostname ESMTP"
    assert place.run("enforce", "--profile", "ours").returncode == 0
    text = (place.etc / "main.cf").read_text()
    assert "smtpd_banner = $myhostname ESMTP\n" in text
    assert "smtpd_tls_received_header" not in text


def test_profiles(place):
    place.profile("ours", OURS)
    place.configure('profile = "ours"\n')
    listed = {one["name"]: one for one in place.json("profiles")["profiles"]}
    assert listed.keys() == {
        "article-2017",
        "interop",
        "intermediate",
        "strict",
        "ncsc-nl-2025",
        "ours",
    }
    assert listed["ours"]["notes"] == "extends intermediate, in use"
    assert listed["article-2017"]["notes"] == "outdated"
    rules = {one["rule"] for one in place.json("profiles", "ours")["rules"]}
    assert {"banner", "tls-log-level"} <= rules
    assert "received-header" not in rules
    differences = {
        one["rule"]: one for one in place.json("profiles", "intermediate", "ours")["differences"]
    }
    assert differences.keys() == {"tls-log-level", "received-header", "banner"}
    assert differences["received-header"]["ours"] == "(no such rule)"
    assert differences["tls-log-level"]["ours"] != differences["tls-log-level"]["intermediate"]
    assert "banner" in place.run("profiles", "ours").stdout


def test_a_waiver_for_one_service(place):
    weak = "  -o smtpd_tls_mandatory_protocols=>=TLSv1\n"
    place.write(
        "master.cf",
        f"submission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n{weak}"
        f"588 inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n{weak}",
    )
    place.configure(
        '[[waiver]]\nrule = "smtpd-mandatory-protocols"\nservice = "588/inet"\n'
        'reason = "the old scanner"\nowner = "me"\nuntil = 2999-12-31\n'
    )
    shown = place.run("check").stdout
    assert "smtpd-mandatory-protocols, waived: the old scanner (me, until 2999-12-31)" in shown
    assert place.run("enforce").returncode == 0
    text = (place.etc / "master.cf").read_text()
    waived = text[text.index("588 ") :]
    assert weak in waived
    assert weak not in text[: text.index("588 ")]


def test_enforce_hands_its_report_to_the_monitor_and_writes_none_of_its_files(place):
    place.configure('[plugins.central]\ncollectors = ["tcp://127.0.0.1:9"]\n')
    assert place.run("enforce").returncode == 0
    assert not (place.state / "outbox").exists()  # no monitor in a process of its own
    (place.state / "outbox").mkdir()
    assert place.run("enforce").returncode == 0
    (file,) = (place.state / "outbox").iterdir()
    assert json.loads(file.read_text())["report"]["outcome"] == "clean"
    assert not (place.state / "monitor").exists()
    (place.state / "outbox.lock").unlink()
    (place.state / "outbox.lock").mkdir()
    done = place.run("enforce")
    assert done.returncode == 0
    assert "a report cannot be kept for the monitor" in done.stderr


def test_hold_and_release(place):
    before = place.sums()
    held = place.run("hold", "--for", "2h", "--reason", "the old scanner")
    assert (held.returncode, held.stderr) == (0, "")
    assert "the old scanner" in place.run("status").stdout
    (status,) = place.json("status", status=2)["instances"]
    assert status["hold"]["reason"] == "the old scanner"
    done = place.run("enforce")
    assert (done.returncode, place.sums()) == (2, before)
    assert "held (the old scanner)" in done.stdout
    assert "the hold is over" in place.run("release").stdout
    assert place.run("enforce").returncode == 0
    assert place.sums() != before


def test_release_without_a_hold_is_no_error(place):
    done = place.run("release")
    assert (done.returncode, done.stderr) == (0, "")
    assert "there was no hold" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another owner")
def test_restore_gives_bytes_mode_and_owner_back_and_holds(place):
    main = place.etc / "main.cf"
    main.write_bytes(b"# caf\xe9, no end of line\nmail_name = x\nsmtpd_tls_ciphers = low")
    main.chmod(0o640)
    os.chown(main, 12345, 23456)
    content, before = main.read_bytes(), place.sums()
    place.run("enforce")
    assert place.sums() != before
    main.chmod(0o600)
    os.chown(main, 0, 0)
    done = place.run("restore")
    assert (done.returncode, done.stderr) == (0, "")
    assert place.sums() == before
    assert (main.read_bytes(), main.stat().st_uid, main.stat().st_gid) == (content, 12345, 23456)
    assert place.run("enforce").returncode == 2
    assert place.sums() == before
    assert "restored to the original files" in place.run("status").stdout


def test_restore_does_not_write_while_packages_are_installed(place, monkeypatch):
    monkeypatch.setattr(restore, "held_by", lambda: LockHolder(pid=812, name="dpkg"))
    given = Namespace(
        config=str(place.own / "postkeel.toml"), profile=None, config_directory=str(place.etc)
    )
    with pytest.raises(PostkeelError, match=r"being installed \(.*812.*\): restore when"):
        restore.main(given)
    assert "held" not in place.run("status").stdout


def test_restore_without_originals_leaves_no_hold(place):
    assert "there are no originals" in place.error("restore")
    assert place.json("status")["instances"][0]["hold"] is None


def test_history_tells_cause_before_and_after(place):
    assert place.run("history").stdout == "nothing has happened yet\n"
    for value in ("none", "bogus"):
        text = (place.etc / "main.cf").read_text()
        place.write("main.cf", f"{text}smtpd_tls_security_level = {value}\n")
        place.run("enforce")
    reports = place.json("history")["reports"]
    assert len(reports) == 2
    shown = place.run("history").stdout
    assert shown.index("was 'none', wanted 'may'") < shown.index("was 'bogus', wanted 'may'")
    assert "asked for" in shown
    assert "none'" not in place.run("history", "--limit", "1").stdout
    (other,) = (place.directory / "elsewhere",)
    other.mkdir()
    elsewhere = place.run("history", "-c", str(place.etc)).stdout
    assert elsewhere == shown


def test_explain_a_rule(place):
    text = place.run("explain", "smtpd-protocols").stdout
    assert text.startswith("smtpd-protocols (error, profile intermediate)\n")
    for words in ("parameters: smtpd_tls_protocols", "written here, Postfix 3.", "see: "):
        assert words in text
    (rule,) = place.json("explain", "smtpd-protocols")["rules"]
    assert (rule["rule"], rule["severity"]) == ("smtpd-protocols", "error")
    assert rule["references"]


def test_explain_a_parameter_names_each_rule_that_has_it(place):
    rules = place.json("explain", "smtpd_tls_security_level")["rules"]
    assert len(rules) > 1
    assert "mx-security-level" in {one["rule"] for one in rules}


def test_explain_a_rule_of_a_plugin(place):
    text = place.run("explain", "served-tls").stdout
    assert text.startswith("served-tls (plugin config_enforcer)\n")
    assert "postfix reload" in text
    (rule,) = place.json("explain", "served-tls")["rules"]
    assert (rule["plugin"], rule["rule"]) == ("config_enforcer", "served-tls")
    assert "did you mean served-tls" in place.error("explain", "servd-tls")


def test_config_shows_what_it_comes_to(place):
    (place.own / "conf.d").mkdir()
    (place.own / "conf.d" / "10.toml").write_text('mode = "audit"\n')
    (place.own / "conf.d" / "20.toml").write_text("[contest]\ncorrections = 7\n")
    (place.own / "conf.d" / "30.conf").write_text("not read")
    document = place.json("config", status=0)
    assert (document["mode"], document["profile"]) == ("audit", "intermediate")
    assert document["contest"] == {"corrections": 7, "seconds": 600}
    assert [one.rpartition("/")[2] for one in document["files"]] == [
        "postkeel.toml",
        "10.toml",
        "20.toml",
    ]
    assert "configuration is valid" in place.run("config").stdout


def test_audit_mode_changes_nothing(place):
    place.configure(f'[instance."{place.etc}"]\nmode = "audit"\n')
    before = place.sums()
    done = place.run("enforce")
    assert (done.returncode, place.sums()) == (2, before)
    assert "audited (mode is audit)" in done.stdout


def test_the_shipped_configuration_can_be_named_where_it_lies(postkeel):
    source = os.path.join(os.path.dirname(__file__), "..", "..", "conf", "postkeel.toml")
    assert postkeel("config", "--config", source).returncode == 0


def test_an_outdated_profile_is_named_as_such(place):
    found = place.json("check", "--profile", "article-2017")["instances"][0]
    assert found["problems"][0].startswith("profile article-2017 is outdated: ")
    assert place.json("check")["instances"][0]["problems"] == []
