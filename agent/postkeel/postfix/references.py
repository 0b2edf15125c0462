"""The files that the TLS settings of an instance name."""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.postfix.instance import Instance, Service

_FILES = (
    "cert_file",
    "key_file",
    "eccert_file",
    "eckey_file",
    "dcert_file",
    "dkey_file",
    "chain_files",
    "CAfile",
    "dh1024_param_file",
)
_TABLES = ("smtp_tls_policy_maps", "lmtp_tls_policy_maps", "tls_server_sni_maps")
_PROGRAMS = ("smtpd_tls_", "smtp_tls_", "lmtp_tls_", "tlsproxy_tls_", "tlsproxy_client_")
_LOCAL = ("hash", "btree", "lmdb", "cdb", "dbm", "texthash", "regexp", "pcre", "cidr")


def referenced_files(instance: Instance) -> tuple[str, ...]:
    """Absolute paths, each once, of the certificates, keys and tables of main.cf and services."""
    found = dict.fromkeys(_of(instance, None))
    for service in instance.services:
        if any("tls" in name for name in service.overrides):
            found |= dict.fromkeys(_of(instance, service))
    return tuple(found)


def table_names(value: str) -> Iterator[tuple[str, str]]:
    """(type, name) of each table in a value such as "hash:/etc/postfix/a, cdb:/b"."""
    for word in split_list(value):
        kind, separator, name = word.removeprefix("proxy:").partition(":")
        if separator:
            yield kind, name


def split_list(value: str) -> list[str]:
    """The words of a list of tables or files; blanks inside braces do not separate."""
    words, depth, word = [], 0, ""
    for one in value:
        depth += (one == "{") - (one == "}")
        if depth <= 0 and (one.isspace() or one == ","):
            words.append(word)
            word = ""
        else:
            word += one
    return [one for one in (*words, word) if one]


def _of(instance: Instance, service: Service | None) -> Iterator[str]:
    for program in _PROGRAMS:
        for name in _FILES:
            for path in split_list(instance.effective(program + name, service).value):
                if path.startswith("/"):
                    yield path
    for name in _TABLES:
        for kind, path in table_names(instance.effective(name, service).value):
            if kind in _LOCAL and path.startswith("/"):
                yield path
