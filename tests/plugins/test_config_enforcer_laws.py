"""Laws of the enforcer on generated configurations: it ends, agrees with itself, never weakens."""

from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postkeel.contract import RemoveOverride, SetOverride
from postkeel.core.document import Document
from postkeel.core.profile import resolve_profile
from postkeel.postfix.ciphers import strings_in_use
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.postfix.instance import Role, parse_version
from postkeel.postfix.levels import RANKS, security_level
from postkeel.postfix.protocols import oldest, rank, resulting_protocols
from postkeel_plugins.config_enforcer.judging import judge
from postkeel_plugins.config_enforcer.remedies import applied

PROFILES = Path(__file__).parents[2] / "conf/profiles"
DOCUMENTS = {
    path.stem: Document(file=str(path), text=path.read_text(), data=tomli.loads(path.read_text()))
    for path in PROFILES.glob("*.toml")
}
LISTS = [">=TLSv1", ">=TLSv1.2", ">=TLSv1.3", "TLSv1.2", "TLSv1.1, TLSv1.3", "!SSLv2", "", "bogus"]
LEVELS = ["", "none", "may", "encrypt", "dane", "verify", "bogus"]
SWITCH = ["yes", "no"]
GRADES = ["null", "low", "medium", "high", "bogus"]
EXCLUDED = ["", "aNULL", "kRSA", "anull, PSD", "aNULL, SHA1", "HIGH"]
VALUES = {
    "smtpd_tls_protocols": LISTS,
    "smtpd_tls_mandatory_protocols": LISTS,
    "smtp_tls_protocols": LISTS,
    "smtpd_tls_security_level": LEVELS,
    "smtp_tls_security_level": LEVELS,
    "smtpd_use_tls": SWITCH,
    "smtpd_enforce_tls": SWITCH,
    "smtp_use_tls": SWITCH,
    "smtp_enforce_tls": SWITCH,
    "smtp_tls_enforce_peername": SWITCH,
    "smtpd_tls_wrappermode": SWITCH,
    "smtpd_tls_auth_only": SWITCH,
    "smtpd_tls_ciphers": GRADES,
    "smtpd_tls_mandatory_ciphers": GRADES,
    "smtpd_tls_exclude_ciphers": EXCLUDED,
    "smtpd_tls_mandatory_exclude_ciphers": EXCLUDED,
    "tls_medium_cipherlist": ["HIGH", "ALL:eNULL", "aNULL", "ECDHE+AESGCM", "NOSUCHTHING"],
    "smtpd_tls_cert_file": ["", "none", "/etc/ssl/c.pem"],
    "smtpd_tls_loglevel": ["0", "1", "2", "debug"],
    "smtpd_discard_ehlo_keywords": ["", "starttls", "dsn, starttls"],
    "smtpd_tls_session_cache_database": ["", "btree:/x"],
    "smtp_tls_session_cache_database": ["", "lmdb:/x", "nosuch:/x"],
}
ENTRIES = [
    "smtp inet n - n - - smtpd",
    "submission inet n - n - - smtpd",
    "465 inet n - n - - smtpd",
    "smtp unix - - n - - smtp",
    "relay unix - - n - - smtp",
    "lmtp unix - - n - - lmtp",
]
FAMILIES = {
    Role.MX: "smtpd",
    Role.SUBMISSION: "smtpd",
    Role.SUBMISSIONS: "smtpd",
    Role.SMTP_CLIENT: "smtp",
}


@st.composite
def settings_of(draw, most):
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=most, unique=True))
    return {name: draw(st.sampled_from(VALUES[name])) for name in names}


@st.composite
def configurations(draw):
    main_cf = "".join(f"{name} = {value}\n" for name, value in draw(settings_of(8)).items())
    master_cf = ""
    for entry in draw(st.lists(st.sampled_from(ENTRIES), min_size=1, unique=True)):
        master_cf += entry + "\n"
        for name, value in draw(settings_of(3)).items():
            master_cf += f"  -o {{ {name} = {value} }}\n"
    return main_cf, master_cf


def profile_of(name):
    return resolve_profile(name, DOCUMENTS, COMPARISONS)


def place(change):
    service = change.service if isinstance(change, (SetOverride, RemoveOverride)) else ""
    return service, change.name


def changes_of(findings):
    """The remedies as one plan: no two findings want different things of one place."""
    planned = {}
    for finding in findings:
        for change in finding.remedy:
            assert planned.setdefault(place(change), change) == change, finding.rule
    return tuple(planned.values())


def strengths(instance):
    """Levels and oldest protocols of every service, as numbers; None where TLS is broken."""
    version = parse_version(instance.version)
    for service in instance.services:
        family = FAMILIES.get(service.role)
        if family is None:
            continue
        level = security_level(instance, family, service)
        yield f"{service.name} level", None if level is None else RANKS[level]
        for kind in ("", "mandatory_"):
            text = instance.effective(f"{family}_tls_{kind}protocols", service).value
            lowest = oldest(resulting_protocols(text, version) or frozenset())
            yield f"{service.name} {kind}protocols", None if lowest is None else rank(lowest)


def holds(instance, name):
    """The laws, on one instance, until nothing is left to correct."""
    profile = profile_of(name)
    for _ in range(4):
        findings = list(judge(instance, profile))
        assert findings == list(judge(instance, profile))
        changes = changes_of(findings)
        if not changes:
            return instance
        after = applied(instance, changes)
        new = dict(strengths(after))
        for what, old in strengths(instance):
            assert old is None or (new[what] is not None and new[what] >= old), what
        mended = {one.subject for one in findings if one.remedy}
        left = {one.subject for one in judge(after, profile) if one.remedy}
        assert not mended & left
        instance = after
    raise AssertionError(f"still not done: {changes}")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(configurations(), st.sampled_from(["intermediate", "strict", "interop", "ncsc-nl-2025"]))
@example(("smtpd_use_tls = yes\n", "smtp inet n - n - - smtpd\n"), "intermediate")
def test_corrections_end_agree_and_never_weaken(make_instance, texts, name):
    main_cf, master_cf = texts
    holds(make_instance(main_cf, master_cf), name)


@pytest.mark.parametrize("version", ["3.5.25", "3.7.11", "3.8.8", "3.10.13", "3.11.1"])
@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_fresh_install_ends_clean_on_every_version(make_instance, name, version):
    fresh = make_instance("smtpd_tls_cert_file = /etc/ssl/c.pem\n", postfix=version)
    done = holds(fresh, name)
    assert list(judge(done, profile_of(name))) == []


def test_strict_leaves_forward_secrecy_and_aead_for_rsa_and_ecdsa(make_instance):
    fresh = make_instance("smtpd_tls_cert_file = /etc/ssl/c.pem\n")
    done = holds(fresh, "strict")
    text = "".join(f"{name} = {one.value}\n" for name, one in done.parameters.items())
    strict = make_instance(text)
    for family in ("smtpd", "smtp", "lmtp"):
        for string in strings_in_use(strict, family, None):
            suites = [one for one in strict.suites[string] if one.protocol != "TLSv1.3"]
            assert {one.key_exchange for one in suites} == {"ECDH"}
            assert {one.mac for one in suites} == {"AEAD"}
            assert {one.authentication for one in suites} == {"RSA", "ECDSA"}
            assert len(suites) == 6
