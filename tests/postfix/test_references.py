"""Lists of files and tables, and the files that an instance names."""

from __future__ import annotations

import pytest

from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.postfix.references import referenced_files, split_list, table_names


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", []),
        (" , ", []),
        ("/a", ["/a"]),
        ("/a, /b,/c\t/d", ["/a", "/b", "/c", "/d"]),
        ("inline:{ {a = b}, {c = d} } hash:/x", ["inline:{ {a = b}, {c = d} }", "hash:/x"]),
        ("{a, b", ["{a, b"]),
        ("a} b, c", ["a}", "b", "c"]),
    ],
)
def test_blanks_and_commas_separate_outside_braces(value, words):
    assert split_list(value) == words


@pytest.mark.parametrize(
    ("value", "tables"),
    [
        ("", []),
        ("hash:/a, cdb:/b", [("hash", "/a"), ("cdb", "/b")]),
        ("proxy:hash:/a", [("hash", "/a")]),
        ("/a hash:/b", [("hash", "/b")]),
        ("inline:{ {a:x = b} }", [("inline", "{ {a:x = b} }")]),
    ],
)
def test_a_table_has_a_type_and_a_name(value, tables):
    assert list(table_names(value)) == tables


def instance(parameters, overrides=None):
    service = Service(
        name="submission/inet",
        command="smtpd",
        where="master.cf:1",
        role=Role.SUBMISSION,
        overrides=placed(overrides or {}, "master.cf:2"),
    )
    return Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="OpenSSL 3.0.22",
        map_types=(),
        parameters=placed(parameters, "main.cf:1"),
        defaults={"smtpd_tls_key_file": "$smtpd_tls_cert_file"},
        services=(service,),
    )


def placed(texts, where):
    return {name: Parameter(value=value, where=where) for name, value in texts.items()}


# what main.cf sets, what the service sets, the files
REFERENCES = {
    "none": ({}, {}, []),
    "once each": ({"smtpd_tls_cert_file": "/c.pem"}, {}, ["/c.pem"]),
    "several": ({"smtp_tls_chain_files": "/rsa.pem, /ec.pem"}, {}, ["/rsa.pem", "/ec.pem"]),
    "a word is no file": ({"smtpd_tls_cert_file": "none"}, {}, []),
    "below no directory": ({"tlsproxy_tls_CAfile": "ca.pem"}, {}, []),
    "tables": (
        {"smtp_tls_policy_maps": "hash:/policy, ldap:/x.cf, inline:{a=b}, texthash:policy"},
        {},
        ["/policy"],
    ),
    "an override": (
        {"smtpd_tls_cert_file": "/c.pem"},
        {"smtpd_tls_cert_file": "/own.pem"},
        ["/c.pem", "/own.pem"],
    ),
    "by a name of the house": ({}, {"smtpd_tls_cert_file": "$house", "house": "/h"}, ["/h"]),
}


@pytest.mark.parametrize(("parameters", "overrides", "files"), REFERENCES.values(), ids=REFERENCES)
def test_the_files_that_an_instance_names(parameters, overrides, files):
    assert list(referenced_files(instance(parameters, overrides))) == files
