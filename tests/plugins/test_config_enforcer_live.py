"""The enforcer on real files: gathered by the real postconf, edited, gathered again, and run."""

import os
import smtplib
import ssl
import time
from pathlib import Path

import pytest

import private_postfix as bed
from postkeel.contract import Severity
from postkeel.postfix.editing import Texts, edit
from postkeel.postfix.instance import parse_version
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.documents import Profiles
from postkeel.shell.postfix_facts import gather_instance
from postkeel_plugins.config_enforcer.judging import judge

pytestmark = pytest.mark.live
PROFILES = ["intermediate", "strict", "interop", "ncsc-nl-2025", "article-2017"]
DEFAULTS = DefaultsCache()
SHIPPED = Profiles("/nonexistent/postkeel.toml")


@pytest.fixture(scope="module")
def postfix():
    if reason := bed.why_not():
        pytest.skip(reason)
    with bed.private_postfix(certificates=("rsa", "ecdsa")) as started:
        yield started


def texts_of(postfix):
    return Texts(main_cf=postfix.main_cf.read_text(), master_cf=postfix.master_cf.read_text())


def write(postfix, texts):
    postfix.main_cf.write_text(texts.main_cf)
    postfix.master_cf.write_text(texts.master_cf)
    # Postfix's programs wait until main.cf is two seconds old.
    past = time.time() - 3
    os.utime(postfix.main_cf, (past, past))


def findings(postfix, profile):
    instance = gather_instance(postfix.config_directory, defaults=DEFAULTS)
    return list(judge(instance, profile))


@pytest.fixture(params=PROFILES)
def hardened(request, postfix):
    """The instance after one correction by a profile, and put back at the end."""
    before = texts_of(postfix)
    profile = SHIPPED.get(request.param)
    found = findings(postfix, profile)
    changes = dict.fromkeys(change for one in found for change in one.remedy)
    write(postfix, edit(before, changes))
    yield request.param, profile, found
    write(postfix, before)


def test_one_correction_leaves_nothing_to_correct(postfix, hardened):
    _, profile, found = hardened
    assert any(one.remedy for one in found)
    left = findings(postfix, profile)
    assert not [one for one in left if one.remedy]
    assert not [one for one in left if one.severity is Severity.ERROR]
    assert not gather_instance(postfix.config_directory, defaults=DEFAULTS).warnings


def test_nothing_is_left_that_this_postfix_warns_of(postfix):
    before = texts_of(postfix)
    (rule,) = (one for one in SHIPPED.get("intermediate").rules if one.id == "obsolete-parameters")
    old = "".join(f"{name} =\n" for name in rule.parameters)
    write(postfix, Texts(main_cf=before.main_cf + old, master_cf=before.master_cf))
    warned = gather_instance(postfix.config_directory, defaults=DEFAULTS).warnings
    found = findings(postfix, SHIPPED.get("intermediate"))
    changes = dict.fromkeys(change for one in found for change in one.remedy)
    write(postfix, edit(texts_of(postfix), changes))
    left = gather_instance(postfix.config_directory, defaults=DEFAULTS)
    write(postfix, before)
    assert bool(warned) == (parse_version(left.version) >= (3, 9))
    assert not left.warnings
    assert not left.parameters.keys() & set(rule.parameters)


def handshake(postfix, kind):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"a{kind}:@SECLEVEL=0")
    with smtplib.SMTP(postfix.address, 25, local_hostname="client.test", timeout=10) as smtp:
        smtp.starttls(context=context)
        return smtp.sock.cipher()[0]


def test_rsa_and_ecdsa_both_work_under_strict(postfix):
    before = texts_of(postfix)
    found = findings(postfix, SHIPPED.get("strict"))
    changes = dict.fromkeys(change for one in found for change in one.remedy)
    write(postfix, edit(before, changes))
    postfix.reload()
    suites = {handshake(postfix, "RSA"), handshake(postfix, "ECDSA")}
    write(postfix, before)
    assert all(one.startswith("ECDHE-") for one in suites)
    assert {"RSA" in one for one in suites} == {True, False}


def test_each_side_door_is_found_on_the_real_files(postfix):
    before = texts_of(postfix)
    doors = Path(__file__).parents[1] / "cases/side_doors.main.cf"
    write(postfix, Texts(main_cf=before.main_cf + doors.read_text(), master_cf=before.master_cf))
    found = {(one.rule, one.parameter) for one in findings(postfix, SHIPPED.get("intermediate"))}
    write(postfix, before)
    wanted = {
        ("cipher-lists", "tls_high_cipherlist"),
        ("smtpd-protocols", "smtpd_tls_protocols"),
        ("policy-maps", "smtp_tls_policy_maps"),
        ("excluded-names-known", "smtpd_tls_mandatory_exclude_ciphers"),
        ("misspelt-parameters", "smtpd_tls_securty_level"),
        ("obsolete-parameters", "smtpd_use_tls"),
        ("starttls-offered", "smtpd_discard_ehlo_keywords"),
        ("starttls-used", "smtp_discard_ehlo_keywords"),
    }
    assert wanted - found == set()
