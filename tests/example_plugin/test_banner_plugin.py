"""How a plugin author tests a plugin."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

from postkeel.conformance import DIRECTORY, broken_promises, sample_event, sample_facts


@pytest.fixture(scope="module")
def banner_plugin():
    path = pathlib.Path(__file__).with_name("banner_plugin.py")
    spec = importlib.util.spec_from_file_location("banner_plugin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_keeps_the_contract(banner_plugin):
    loose = sample_facts(smtpd_banner="$myhostname ESMTP Postfix $mail_version")
    assert broken_promises(banner_plugin, "banner", loose) == []


@pytest.mark.parametrize(
    ("banner", "findings"),
    [
        ("$myhostname ESMTP", 0),
        ("$myhostname ESMTP $mail_name ($mail_version)", 1),
        ("Postfix 3.7.11", 1),
        ("", 0),
    ],
)
def test_finds_the_version_however_it_is_written(banner_plugin, banner, findings):
    facts = sample_facts(smtpd_banner=banner)
    options = {"banner": "$myhostname ESMTP"}
    found = banner_plugin.keel_observe(sample_event(), DIRECTORY, facts, options)
    assert len(found) == findings
