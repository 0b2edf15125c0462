"""A worked example of a postkeel plugin: the banner must not tell the version.

It uses nothing but the public contract: `postkeel.contract` and `postkeel.postfix`.
"""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.contract import (
    Card,
    Depth,
    Event,
    Facts,
    Finding,
    Interest,
    Need,
    Option,
    Options,
    Rule,
    SetParameter,
    Severity,
    Side,
    hookimpl,
)
from postkeel.postfix.instance import Instance, Role

RULE = Rule(
    id="banner-without-version",
    why="A banner that tells the version tells a scanner which old faults to try first.",
    references=("postconf(5) smtpd_banner",),
)


@hookimpl
def keel_card() -> Card:
    return Card(
        name="banner",
        summary="the SMTP banner does not tell the Postfix version",
        side=Side.ROOT,
        options=(Option(name="banner", default="$myhostname ESMTP", help="what to write instead"),),
        rules=(RULE,),
    )


@hookimpl
def keel_interests(instance: str) -> Interest:
    return Interest(
        paths=(f"{instance}/main.cf", f"{instance}/master.cf"),
        needs=(Need(kind="postfix", subject=instance),),
    )


@hookimpl
def keel_observe(event: Event, instance: str, facts: Facts, options: Options) -> list[Finding]:
    del event
    postfix = facts.get(Need(kind="postfix", subject=instance))
    if not isinstance(postfix, Instance) or not postfix.of_role(Role.MX, Role.SUBMISSION):
        return []
    return list(_judge(postfix, str(options["banner"])))


def _judge(postfix: Instance, wanted: str) -> Iterator[Finding]:
    banner = postfix.effective("smtpd_banner")
    if postfix.version not in banner.value:
        return
    yield Finding(
        rule=RULE.id,
        severity=Severity.WARNING,
        depth=Depth.DECLARED,
        parameter="smtpd_banner",
        where=banner.where,
        effective=banner.value,
        wanted=wanted,
        why=RULE.why,
        remedy=(SetParameter(name="smtpd_banner", value=wanted),),
    )
