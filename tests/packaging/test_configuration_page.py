"""postkeel.toml(5), held against the code in both directions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

from man_page import Page
from postkeel.core import configuration as keys
from postkeel.core import profile as profile_keys
from postkeel.core.configuration import (
    CertificateSources,
    Configuration,
    Contest,
    Reporting,
    read_configuration,
)
from postkeel.core.document import Document
from postkeel.core.model import Severity
from postkeel.core.profile import resolve_profile
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.postfix.instance import Role
from postkeel.reporting.severities import FACILITIES
from postkeel.shell.documents import ProfileDocuments, profile_files
from postkeel_plugins import (
    central,
    certificate_watcher,
    config_enforcer,
    header_checker,
    tls_log_monitor,
)
from postkeel_plugins.reporters import syslog

ROOT = Path(__file__).parent.parent.parent
PAGE = Page(ROOT / "packaging/man/postkeel.toml.5")
SHIPPED = (ROOT / "conf/postkeel.toml").read_text()
CARDS = {
    one.name: one
    for one in (
        p.keel_card()
        for p in (
            central.reporter,
            certificate_watcher,
            config_enforcer,
            header_checker,
            syslog,
            tls_log_monitor,
        )
    )
}
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]


def defaults(title):
    """What the page's items of this part say to be the defaults, by key."""
    found = {}
    for item in PAGE.items(title):
        if item.head[0] == "Va":
            name, *rest = item.head[1:]
            found[name] = json.loads(" ".join(rest[2:])) if rest else None
    return found


def test_the_keys_of_the_top_level_and_their_defaults():
    known = {name: getattr(Configuration(), name) for name in keys._TOP}
    assert defaults("TOP LEVEL") == known


def test_contests():
    known = {name: getattr(Contest(), name) for name in keys._CONTEST}
    assert defaults("CONTESTS") == known


def test_reporting():
    known = {name: getattr(Reporting(), name) for name in keys._REPORTING}
    assert defaults("REPORTING") == known


def test_certificates():
    sources = CertificateSources()
    known = {name: getattr(sources, name) for name in keys._CERTIFICATES}
    assert defaults("CERTIFICATES") == known | {"lineages": [*sources.lineages]}


def test_instances():
    assert set(defaults("INSTANCES")) == set(keys._INSTANCE)


def test_every_table_is_named():
    single = ("contest", "reporting", "certificates")
    names = (*single, "[waiver]", 'instance."DIRECTORY"', "plugins.NAME")
    shown = [f"[{name}]" for name in names]
    assert len(shown) == len(keys._TABLES)
    assert [one for one in shown if one not in PAGE.text] == []


def as_written(card):
    """The defaults of the card's options as TOML has them."""
    given = {one.name: one.default for one in card.options}
    return {name: list(one) if isinstance(one, tuple) else one for name, one in given.items()}


def test_the_options_of_every_plugin_and_their_defaults():
    assert set(CARDS) == set(PROJECT["entry-points"]["postkeel.plugins"])
    assert PAGE.subsections("PLUGINS") == sorted(CARDS)
    for name, card in CARDS.items():
        assert defaults(name) == as_written(card)
        items = {one.head[1]: one.text for one in PAGE.items(name)}
        for option in card.options:
            assert (f"At least {option.least}." in items[option.name]) == bool(option.least)


def test_the_words_that_an_option_takes():
    items = {one.head[1]: one.text for one in PAGE.items("tls_log_monitor")}
    (peers,) = [one for one in CARDS["tls_log_monitor"].options if one.name == "peers"]
    words = [one for one in peers.help.replace('"', " ").split() if one in items["peers"]]
    assert {"domain", "pseudonym", "none"} <= set(words)
    facilities = {one.head[1]: one.text for one in PAGE.items("syslog")}["facility"]
    shown = {one.strip(",.") for one in facilities.split()}
    assert [one for one in FACILITIES if one[:5] != "local" and one not in shown] == []


def test_waivers():
    items = {one.head[1]: one.text for one in PAGE.items("WAIVERS")}
    assert set(items) == set(keys._WAIVER)
    required = {name for name, text in items.items() if "Required." in text}
    assert required == set(keys._WAIVER_REQUIRED)


def test_profiles_that_are_shipped():
    listed = [one.head[1] for one in PAGE.items("PROFILES") if one.head[0] == "Li"]
    known = [one.stem for one in (ROOT / "conf/profiles").glob("*.toml")]
    assert [one for one in listed if one in known] != []
    assert sorted(set(listed) & set(known)) == sorted(known)


def test_the_keys_of_a_profile_and_of_its_rules():
    rule = [one.head[1] for one in PAGE.items("Keys of a rule") if one.head[0] == "Va"]
    assert set(rule) == profile_keys._RULE_KEYS
    all_ = [one.head[1] for one in PAGE.items("PROFILES") if one.head[0] == "Va"]
    assert set(all_[: -len(rule)]) == profile_keys._PROFILE_KEYS


def test_services_scopes_and_severities_of_a_rule():
    items = PAGE.items("Keys of a rule")
    services = [name for one in items for name in one.after("Li")]
    assert sorted(services) == sorted(one.value for one in Role)
    texts = {one.head[1]: one.text for one in items}
    assert [one for one in profile_keys._SCOPES if f'"{one}"' not in texts["scope"]] == []
    assert [one for one in Severity if f'"{one.value}"' not in texts["severity"]] == []


def test_comparisons():
    named = [name for one in PAGE.items("Comparisons") for name in one.after("Li")]
    assert sorted(named) == sorted(COMPARISONS)


@pytest.fixture
def shown(tmp_path):
    """The example configuration and the example profile, as files."""
    configuration, profile = PAGE.literals("EXAMPLES")
    main = tmp_path / "postkeel.toml"
    main.write_text(configuration)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/ours.toml").write_text(profile)
    return main


def test_the_example_is_a_configuration(shown):
    text = shown.read_text()
    read = read_configuration([Document(file="shown", text=text, data=tomli.loads(text))])
    outbound = read.settings("/etc/postfix-out")
    assert (read.settings("/etc/postfix").mode.value, outbound.mode.value) == ("audit", "enforce")
    assert read.plugins.keys() <= CARDS.keys()
    profile = tomli.loads((ROOT / "conf/profiles" / f"{read.profile}.toml").read_text())
    assert [one.rule for one in read.waivers if one.rule not in base_rules(profile)] == []


def base_rules(profile):
    rules = dict(profile.get("rule", {}))
    if "extends" in profile:
        base = ROOT / "conf/profiles" / f"{profile['extends']}.toml"
        rules |= base_rules(tomli.loads(base.read_text()))
    return rules


def test_the_example_is_a_profile(shown):
    documents = ProfileDocuments(profile_files(str(shown)))
    ours = resolve_profile("ours", documents, COMPARISONS)
    strict = resolve_profile("strict", documents, COMPARISONS)
    assert ours.rule("tls-log-level").severity is Severity.ERROR
    assert ours.rule("received-header") is None
    assert {one.id for one in ours.rules} - {one.id for one in strict.rules} == {"hold-back"}


def test_the_diagnostic_is_what_is_said():
    (line,) = [one.head[0].strip('"') for one in PAGE.items("DIAGNOSTICS")]
    text = "\n" * 11 + 'profil = "strict"\n'
    with pytest.raises(keys.ConfigurationError) as caught:
        read_configuration([Document(file="postkeel.toml", text=text, data=tomli.loads(text))])
    assert str(caught.value).startswith(line.removesuffix("..."))


def test_the_shipped_configuration_comments_every_option_of_every_plugin():
    """In its table, with its default; tests/test_documentation.py reads the other keys."""
    written = SHIPPED.replace("\n#", "\n")
    for name, card in CARDS.items():
        table = written.partition(f"\n[plugins.{name}]\n")[2].partition("\n\n")[0]
        assert tomli.loads(table) == as_written(card)
