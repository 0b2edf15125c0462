"""What this plugin judges: each rule with its reason and where that is written."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Rule

_README: Final = (
    "Postfix TLS_README, section 'Server-side certificate and private key configuration'"
)
_CHAIN_FILES: Final = "postconf(5), smtpd_tls_chain_files"
_SNI: Final = "postconf(5), tls_server_sni_maps"
_BASELINE: Final = "CA/Browser Forum, Baseline Requirements for TLS server certificates"

USABLE: Final = Rule(
    id="certificate-usable",
    why="An smtpd that cannot load its certificate or key goes on without TLS, and says so in the"
    " log alone.",
    references=(_README, _CHAIN_FILES, "RFC 7468 (PEM)"),
)
CHAIN: Final = Rule(
    id="certificate-chain",
    why="Who verifies a server needs every certificate between its own and a root. Opportunistic"
    " TLS and DANE-EE do without.",
    references=(
        "RFC 8446, section 4.4.2 (the sender's certificate comes first)",
        "RFC 5280, section 6 (path validation)",
        "RFC 7672, section 3.1 (what DANE looks at)",
        _README,
        "the origin article (use the full chain)",
    ),
)
LIFETIME: Final = Rule(
    id="certificate-lifetime",
    why="A renewer that works never lets a certificate come this far, so it has failed, or its"
    " result has not arrived. Limits are parts of the certificate's own lifetime.",
    references=(
        "RFC 5280, section 4.1.2.5 (validity)",
        f"{_BASELINE}, section 6.3.2 (47 days by 2029)",
        "Let's Encrypt, six-day certificates (2025)",
    ),
)
NAMES: Final = Rule(
    id="certificate-names",
    why="Mail programs, and servers that verify by MTA-STS or policy, compare the name they asked"
    " for with those in the certificate, and break off where it is not there.",
    references=(
        "RFC 9525, section 6 (only the subjectAltName counts; how a wildcard matches)",
        "RFC 8461, section 4.1 (MTA-STS)",
        "RFC 8314, section 4 (mail programs)",
        _SNI,
    ),
)
STRENGTH: Final = Rule(
    id="certificate-strength",
    why="Today's OpenSSL and GnuTLS refuse small keys and signatures by SHA-1 or MD5 from the"
    " other side; keys of a rare kind shut out those that do not know it.",
    references=(
        "NIST SP 800-57 Part 1, section 5.6 (112 bits and more)",
        "RFC 9155 (MD5 and SHA-1 signatures are deprecated)",
        f"{_BASELINE}, sections 6.1.5 and 7.1.3",
        "openssl, SSL_CTX_set_security_level(3)",
        "RFC 5280, section 4.2.1.12 (extended key usage)",
    ),
)
FILES: Final = Rule(
    id="certificate-files",
    why="Who can read the key can pass for this server, and who can replace it or its certificate"
    " can take TLS away. Postfix reads both as root.",
    references=("postconf(5), smtpd_tls_key_file", _README, _SNI),
)
SERVED: Final = Rule(
    id="certificate-served",
    why="Postfix serves what it read when its processes began, and an indexed table what postmap"
    " put in it. A renewed file alone changes nothing for clients.",
    references=("postfix(1), reload", "postmap(1), option -F", _SNI, _README),
)
TLSA: Final = Rule(
    id="certificate-tlsa",
    why="Servers that use DANE deliver only where a published TLSA record fits what is served. A"
    " new key needs its record first, for as long as the old ones are kept in caches.",
    references=(
        "RFC 7672, sections 3.1 and 8 (usages for SMTP; operations)",
        "RFC 7671, section 8 (rollover)",
        "RFC 6698, section 2.1",
        "Postfix TLS_README, section 'DANE TLS authentication'",
    ),
)
STAPLING: Final = Rule(
    id="certificate-stapling",
    why="Postfix has no OCSP stapling, so peers that insist on the staple which the certificate"
    " promises refuse it. Let's Encrypt issues no such certificates since May 2025 and ended OCSP"
    " in August 2025.",
    references=(
        "RFC 7633 (the TLS feature extension, 'must staple')",
        "Let's Encrypt, 'Ending OCSP Support in 2025'",
        "the origin article (Postfix does not support OCSP stapling)",
    ),
)
JOINED: Final = Rule(
    id="certificate-joined",
    why="postkeel joined this file of a renewer's two and keeps it up to date. It is written only"
    " when the new pair is right, so a wrong one never goes live.",
    references=(_CHAIN_FILES, _README),
)
OFFERED: Final = Rule(
    id="certificate-offered",
    why="Without a certificate this server offers no TLS, and a renewer keeps one for its name."
    " One file with key, certificate and chain cannot be half renewed.",
    references=(_CHAIN_FILES, "RFC 3207, section 4", "the origin article"),
)

RULES: Final = (
    USABLE,
    CHAIN,
    LIFETIME,
    NAMES,
    STRENGTH,
    FILES,
    SERVED,
    TLSA,
    STAPLING,
    JOINED,
    OFFERED,
)
