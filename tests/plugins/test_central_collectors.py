"""Collectors as an administrator writes them, and what is wrong with those that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel_plugins.central.collectors import (
    TRANSPORTS,
    CollectorError,
    collector_of,
    collectors_fault,
    collectors_of,
)
from postkeel_plugins.central.plugin import Reporter


@pytest.mark.parametrize(
    ("url", "kind", "tls", "host", "port", "name"),
    [
        ("relp+tls://log1.example.org:2514", "relp", True, "log1.example.org", 2514, ""),
        ("relp+tls://log1.example.org", "relp", True, "log1.example.org", 2514, ""),
        ("tls://log1.example.org", "stream", True, "log1.example.org", 6514, ""),
        ("tls://log1.example.org:10514", "stream", True, "log1.example.org", 10514, ""),
        ("tls://192.0.2.1?name=log1.example.org", "stream", True, "192.0.2.1", 6514, "log1"),
        ("tls://[2001:db8::1]:65535", "stream", True, "2001:db8::1", 65535, ""),
        ("tls://[fe80::1%eth0]", "stream", True, "fe80::1%eth0", 6514, ""),
        ("tcp://[::1]:1", "stream", False, "::1", 1, ""),
        ("tcp://log_1", "stream", False, "log_1", 514, ""),
        ("relp://log1", "relp", False, "log1", 2514, ""),
        ("udp://log1", "datagram", False, "log1", 514, ""),
    ],
)
def test_a_collector(url, kind, tls, host, port, name):
    one = collector_of(url)
    assert (one.url, one.host, one.port) == (url, host, port)
    assert (one.transport.kind, one.transport.tls) == (kind, tls)
    assert one.name == (f"{name}.example.org" if name else host)


def test_a_socket_of_this_host():
    one = collector_of("unix:///dev/log")
    assert (one.transport.kind, one.path) == ("unix", "/dev/log")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("log1.example.org", "must begin with relp+tls://, tls://, relp://, tcp://"),
        ("https://log1.example.org", "must begin with"),
        ("TLS://log1.example.org", "must begin with"),
        ("", "must begin with"),
        ("tls://", "needs the name or address of a host"),
        ("tls://:6514", "needs the name or address of a host"),
        ("tls://log1:", "'' is no port"),
        ("tls://log1:syslog", "'syslog' is no port"),
        ("tls://log1:+5", "'+5' is no port"),
        ("tls://log1:٣", "'٣' is no port"),
        ("tls://log1:0", "from 1 to 65535, not 0"),
        ("tls://log1:65536", "from 1 to 65535, not 65536"),
        ("tls://log1:655360", "'655360' is no port"),
        ("tls://user@log1", "takes no user name"),
        ("tls://user:word@log1:1", "takes no user name"),
        ("tls://log1/", "nothing may follow the port"),
        ("tls://log1:6514/path", "nothing may follow the port"),
        ("tls://log1#here", "nothing may follow the port"),
        ("tls://::1", "is written in brackets"),
        ("tls://[::1", "is no IPv6 address"),
        ("tls://[log1]", "is no IPv6 address"),
        ("tls://[::1%a\nb]", "is no IPv6 address"),
        ("tls://[::1]6514", "a port is written as in [::1]:6514"),
        ("tls://-log1", "'-log1' is no name of a host"),
        ("tls://log1..example", "'log1..example' is no name of a host"),
        ("tls://log1.example.", "is no name of a host"),
        ("tls://lög1", "'lög1' is no name of a host"),
        ("tls://log 1", "'log 1' is no name of a host"),
        ("tls://log\x1b1", "is no name of a host"),
        (f"tls://{'a' * 64}", "is no name of a host"),
        (f"tls://{'a.' * 127}b", "is no name of a host"),
        ("tls://log1?", "only name=HOST"),
        ("tls://log1?host=log1", "only name=HOST"),
        ("tls://log1?name=", "only name=HOST"),
        ("tls://log1?name=a&b", "only name=HOST"),
        ("relp://log1?name=log1", "others show no certificate"),
        ("unix://dev/log", "must be absolute"),
        ("unix:///dev/log\0", "must be absolute"),
    ],
)
def test_what_is_wrong(url, fault):
    with pytest.raises(CollectorError) as caught:
        collector_of(url)
    assert fault in str(caught.value)
    assert str(caught.value).isprintable()
    assert collectors_fault(("tcp://log1", url)) == str(caught.value)


def test_collectors_stand_in_their_order():
    urls = ("tls://log2", "tls://log1")
    assert [one.host for one in collectors_of(urls)] == ["log2", "log1"]
    assert collectors_fault(urls) == ""
    assert collectors_fault(()) == ""
    assert collectors_fault(("tcp://a", "tcp://b", "tcp://a")) == "names 'tcp://a' twice"


@given(st.sampled_from((*TRANSPORTS, "", "http")), st.sampled_from(("://", ":", "")), st.text())
def test_any_text_is_a_collector_or_has_a_fault(scheme, between, rest):
    url = scheme + between + rest
    fault = collectors_fault((url,))
    assert fault.isprintable()
    if not fault:
        (one,) = collectors_of((url,))
        assert one.transport is TRANSPORTS[scheme]
        assert one.host or one.path
        assert 0 < one.port <= 65535 or one.path


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("collectors", ["tls://log1:0"], "has the collector 'tls://log1:0': a port is from 1"),
        ("collectors", "tls://log1", "must be a list of texts"),
        ("ca", "ca.pem", "must be an absolute file name, not 'ca.pem'"),
        ("certificate", "/a\nb", "must be an absolute file name"),
        ("key", "~/key", "must be an absolute file name"),
        ("host", "mx 1", "ASCII characters without blanks"),
        ("host", "m" * 256, "at most 255"),
        ("host", "mß", "ASCII"),
        ("enterprise", 0, "must be at least 1"),
        ("enterprise", 2**32, "must be at most 4294967295"),
        ("facility", "post", "mail"),
        ("severities", ["fixed"], "fixed"),
        ("format", "json", "must be one of rfc5424, cee, not 'json'"),
        ("window_seconds", 0, "must be at least 1"),
        ("window_seconds", 86_401, "must be at most a day"),
        ("spool_reports", 99, "must be at least 100"),
        ("fold_seconds", -1, "must be at least 0"),
        ("fold_seconds", 86_401, "must be at most a day"),
        ("reports_per_minute", -1, "must be at least 0"),
    ],
)
def test_faults_of_options_are_errors_in_the_configuration(option, value, fault):
    configuration = Configuration(plugins={"central": {option: value}})
    with pytest.raises(ConfigurationError) as caught:
        Registry([found()], configuration)
    assert option in str(caught.value)
    assert fault in str(caught.value)


def test_options_that_are_right():
    given_ = {"collectors": ["tls://log1"], "ca": "/etc/ssl/ca.pem", "host": "mx1", "format": "cee"}
    registry = Registry([found()], Configuration(plugins={"central": given_}))
    assert registry.plugins[0].options["collectors"] == ("tls://log1",)
    assert registry.plugins[0].options["window_seconds"] == 60


def found():
    return Found(name="central", source="test", load=Reporter)
