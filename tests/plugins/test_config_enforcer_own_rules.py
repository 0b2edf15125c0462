"""Rules of an administrator's own profile: corrections that no shipped rule needs."""

import pytest
import tomli

from postkeel.contract import SetOverride, SetParameter
from postkeel.core.document import Document
from postkeel.core.profile import resolve_profile
from postkeel.postfix.comparisons import COMPARISONS
from postkeel_plugins.config_enforcer.judging import judge

RULE = """
[rule.own]
services = "mx"
severity = "warning"
why = "we want it so"
references = "our handbook"
"""
CLASSES = 'parameters = "notify_classes"\ncomparison = "excludes"\n'
CACHE = 'parameters = "smtpd_tls_session_cache_database"\ncomparison = "unset"\n'
MX = "smtp/inet"

# rule, main.cf, its -o options, changes
CASES = {
    "one word of the default goes": (
        CLASSES + 'wanted = "software"\nvalue = ""',
        "",
        "",
        [SetParameter(name="notify_classes", value="resource")],
    ),
    "a default cannot be removed, so nothing is said instead": (
        CLASSES + 'wanted = ["resource", "software"]\nvalue = ""',
        "",
        "",
        [SetParameter(name="notify_classes", value="")],
    ),
    "no more can main.cf's value be removed for one service": (
        CACHE + 'scope = "service"\nvalue = ""',
        "smtpd_tls_session_cache_database = btree:/x\n",
        "",
        [SetOverride(service=MX, name="smtpd_tls_session_cache_database", value="")],
    ),
    "nor by the service's option": (
        CACHE + 'scope = "service"\nvalue = ""',
        "smtpd_tls_session_cache_database = btree:/x\n",
        "  -o smtpd_tls_session_cache_database=btree:/y\n",
        [SetOverride(service=MX, name="smtpd_tls_session_cache_database", value="")],
    ),
    "without a value there is nothing to write": (
        CLASSES + 'wanted = "software"',
        "",
        "",
        [],
    ),
}


@pytest.mark.parametrize(("rule", "main_cf", "options", "changes"), CASES.values(), ids=CASES)
def test_what_a_rule_of_ones_own_changes(make_instance, rule, main_cf, options, changes):
    text = RULE + rule
    document = Document(file="own.toml", text=text, data=tomli.loads(text))
    profile = resolve_profile("own", {"own": document}, COMPARISONS)
    instance = make_instance(main_cf, f"smtp inet n - n - - smtpd\n{options}")
    (finding,) = judge(instance, profile)
    assert list(finding.remedy) == changes


def test_two_rules_that_add_to_one_list_make_one_change(make_instance):
    """The shipped rule excludes its classes, one's own another: both in one write."""
    lists = 'parameters = "smtpd_tls_exclude_ciphers"\ncomparison = "includes"\n'
    own = RULE + lists + 'wanted = "CAMELLIA"\nvalue = "CAMELLIA"\n'
    shipped = own.replace("rule.own", "rule.shipped").replace("CAMELLIA", "aNULL")
    document = Document(file="two.toml", text="", data=tomli.loads(shipped + own))
    profile = resolve_profile("two", {"two": document}, COMPARISONS)
    found = list(judge(make_instance("", "smtp inet n - n - - smtpd\n"), profile))
    both = (SetParameter(name="smtpd_tls_exclude_ciphers", value="aNULL, CAMELLIA"),)
    assert [one.remedy for one in found] == [both, both]


def test_two_rules_that_contradict_do_not_agree(make_instance):
    level = 'parameters = "smtpd_tls_loglevel"\ncomparison = "equals"\n'
    one = RULE.replace("rule.own", "rule.one") + level + 'wanted = "1"\nvalue = "1"\n'
    two = RULE.replace("rule.own", "rule.two") + level + 'wanted = "2"\nvalue = "2"\n'
    document = Document(file="two.toml", text="", data=tomli.loads(one + two))
    profile = resolve_profile("two", {"two": document}, COMPARISONS)
    found = list(judge(make_instance("", "smtp inet n - n - - smtpd\n"), profile))
    assert found[0].remedy == (SetParameter(name="smtpd_tls_loglevel", value="1"),)
    assert found[0].remedy != found[1].remedy
