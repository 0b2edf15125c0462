"""Whether keys and signatures are strong enough, and of kinds that others know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.certificates.values import Certificate
from postkeel.contract import Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import STRENGTH
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import place, title

LEAST_RSA: Final = 2048
LEAST_EC: Final = 256
USUAL_CURVES: Final = frozenset(
    ("secp256r1", "prime256v1", "p-256", "secp384r1", "p-384", "secp521r1", "p-521")
)
BROKEN_DIGESTS: Final = frozenset(("md2", "md4", "md5", "sha1"))
SERVER_PURPOSES: Final = frozenset(("serverAuth", "anyExtendedKeyUsage"))

_REFUSED: Final = "Postfix serves it, and clients with a present OpenSSL or GnuTLS refuse it"


def judge_strength(scene: Scene, case: Case) -> Iterator[Complaint]:
    for chain in case.chains:
        yield from _leaf(scene, case, chain.leaf)
        for one in chain.certificates:
            yield from _weak_key(case, one)
            yield from _weak_signature(case, one)


def _weak_key(case: Case, one: Certificate) -> Iterator[Complaint]:
    """Keys of authorities count as well."""
    key = one.key
    least = {"RSA": LEAST_RSA, "EC": LEAST_EC}.get(key.algorithm, 0)
    if key.algorithm == "DSA":
        yield _complaint(case, one, f"has a DSA key; {_REFUSED}", "RSA or EC", wrong=True)
    elif 0 < key.bits < least:
        says = f"has a key of {key.bits} bits; {_REFUSED}"
        yield _complaint(case, one, says, f"{least} bits or more", wrong=True)


def _weak_signature(case: Case, one: Certificate) -> Iterator[Complaint]:
    """Who trusts a root, or a certificate that signed itself, does so without its signature."""
    digest = one.digest.lower().replace("-", "")
    if digest in BROKEN_DIGESTS and not one.self_issued:
        says = f"is signed by {one.signature or digest}; {_REFUSED}"
        yield _complaint(case, one, says, "a signature by SHA-256 or better", wrong=True)


def _leaf(scene: Scene, case: Case, leaf: Certificate) -> Iterator[Complaint]:
    if leaf.purposes is not None and SERVER_PURPOSES.isdisjoint(leaf.purposes):
        purposes = ", ".join(leaf.purposes) or "nothing"
        says = f"is for {purposes}, not for servers (serverAuth): who verifies refuses it"
        yield _complaint(case, leaf, says, "serverAuth", wrong=True, effective=purposes)
    if leaf.key.algorithm == "EC" and leaf.key.bits >= LEAST_EC:
        if leaf.key.curve.lower() not in USUAL_CURVES:
            says = (
                f"has a key on the curve {leaf.key.curve or 'of no name'}, which few clients know"
            )
            yield _complaint(case, leaf, says, "the curve P-256 or P-384")
    elif leaf.key.algorithm not in ("RSA", "EC", "DSA") and _alone(scene, case):
        says = (
            f"has a key of the kind {leaf.key.algorithm or 'that is not known here'}, and there is"
            " no other: most senders cannot use it and have no TLS here"
        )
        yield _complaint(case, leaf, says, "an RSA or EC certificate as well")


def _alone(scene: Scene, case: Case) -> bool:
    """Whether some service or name has no certificate that everybody can use."""
    return any(
        (service, use.name) not in scene.usual for use in case.uses for service in use.services
    )


def _complaint(
    case: Case,
    one: Certificate,
    says: str,
    wanted: str,
    *,
    wrong: bool = False,
    effective: str = "",
) -> Complaint:
    return Complaint(
        rule=STRENGTH,
        use=case.use,
        severity=Severity.ERROR if wrong else Severity.WARNING,
        says=f"{place(one)}: {title(one)} {says}",
        effective=effective or _kinds(one),
        wanted=wanted,
        file=one.file,
        wrong=wrong,
    )


def _kinds(one: Certificate) -> str:
    """ "RSA 2048, signed by sha256WithRSAEncryption"; of the key the curve where it has one."""
    more = one.key.curve or (str(one.key.bits) if one.key.bits else "")
    key = f"{one.key.algorithm or 'unknown'} {more}".strip()
    return f"{key}, signed by {one.signature or 'an unknown algorithm'}"
