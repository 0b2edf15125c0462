"""Whose Received lines `postkeel headers` believes: this host's, those configured, and --own."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence

from postkeel.cli.opening import instances, open_configuration
from postkeel.core.errors import PostfixError, PostkeelError
from postkeel.headers.hosts import own_hosts
from postkeel.headers.trust import own_of
from postkeel.headers.values import Own
from postkeel.postfix.instance import Instance
from postkeel.shell.postfix_facts import gather_instance

PLUGIN = "header_checker"


def own_of_host(arguments: Namespace) -> Own:
    """Errors: PostkeelError for a word of --own that is no host, and a faulty configuration."""
    try:
        own_of(arguments.own or ())
    except ValueError as error:
        raise PostkeelError(f"--own: {error}") from None
    configuration, _ = open_configuration(arguments)
    configured = configuration.plugins.get(PLUGIN, {}).get("own_hosts", ())
    return own_hosts(_instances(arguments), (*_texts(configured), *(arguments.own or ())))


def _instances(arguments: Namespace) -> Iterator[Instance]:
    """Those that can be read: mail of other hosts is read on a desktop, too."""
    try:
        directories = instances(arguments)
    except PostfixError:
        if arguments.config_directory is not None:
            raise
        return
    for one in directories:
        try:
            yield gather_instance(one, defaults=arguments.defaults)
        except PostkeelError:
            if arguments.config_directory is not None:
                raise


def _texts(value: object) -> Sequence[str]:
    """What of an option that the registry may refuse is of its type."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
