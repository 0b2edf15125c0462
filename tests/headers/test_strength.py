"""What is called well and weakly encrypted, and what nobody can tell."""

import pytest

from postkeel.headers.strength import judge, judged
from postkeel.headers.values import Tls, Verdict

WELL, WEAKLY, CLEAR, UNKNOWN = Verdict.WELL, Verdict.WEAKLY, Verdict.CLEAR, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("protocol", "cipher", "bits", "verdict", "why"),
    [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, WELL, "TLSv1.3 with TLS_AES_256_GCM_SHA384"),
        ("TLSv1.3", "TLS_AES_128_CCM_8_SHA256", 128, WELL, "TLSv1.3 with"),
        ("TLSv1.3", "", 0, WELL, "TLSv1.3"),
        ("TLSv1.3", "new", 0, WELL, "TLSv1.3 with new"),
        ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384", 256, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "DHE-RSA-CHACHA20-POLY1305", 256, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "ECDHE-RSA-AES128-SHA", 128, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "EDH-RSA-AES128-SHA", 128, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "AECDH-AES256-SHA", 256, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "ADH-AES256-GCM-SHA384", 256, WELL, "TLSv1.2 with"),
        ("TLSv1.2", "AES256-GCM-SHA384", 256, WEAKLY, "no forward secrecy"),
        ("TLSv1.2", "CAMELLIA128-SHA", 128, WEAKLY, "no forward secrecy"),
        ("TLSv1.2", "PSK-AES128-CBC-SHA", 128, WEAKLY, "no forward secrecy"),
        ("TLSv1.2", "ECDHE-RSA-DES-CBC3-SHA", 112, WEAKLY, "triple DES"),
        ("TLSv1.2", "DES-CBC3-SHA", 0, WEAKLY, "triple DES"),
        ("TLSv1.2", "DES-CBC-SHA", 56, WEAKLY, "DES is broken"),
        ("TLSv1.2", "ECDHE-RSA-RC4-SHA", 128, WEAKLY, "RC4"),
        ("TLSv1.2", "TLS_KRB5_EXPORT_WITH_RC4_40_MD5", 0, WEAKLY, "short on purpose"),
        ("TLSv1.2", "EXP-RC2-CBC-MD5", 40, WEAKLY, "short on purpose"),
        ("TLSv1.2", "ECDHE-RSA-NULL-SHA", 0, CLEAR, "does not encrypt"),
        ("TLSv1.2", "IDEA-CBC-SHA", 128, WEAKLY, "IDEA"),
        ("TLSv1.2", "ECDHE-RSA-NEW", 64, WEAKLY, "64 bits are too few"),
        ("TLSv1.2", "new", 0, UNKNOWN, "how keys were exchanged"),
        ("TLSv1.2", "", 0, UNKNOWN, "how keys were exchanged"),
        ("TLSv1.1", "ECDHE-RSA-AES128-SHA", 128, WEAKLY, "TLSv1.1 is withdrawn (RFC 8996)"),
        ("TLSv1", "", 0, WEAKLY, "TLSv1 is withdrawn (RFC 8996)"),
        ("SSLv3", "", 0, WEAKLY, "SSLv3 is withdrawn"),
        ("SSLv2", "", 0, WEAKLY, "SSLv2 is withdrawn"),
        ("TLSv1/SSLv3", "ECDHE-RSA-AES128-SHA", 128, UNKNOWN, "which version"),
        ("TLSv1/SSLv3", "RC4-SHA", 128, WEAKLY, "RC4"),
        ("TLSv1.4", "new", 0, UNKNOWN, "which version"),
        ("", "ECDHE-RSA-AES128-SHA", 128, UNKNOWN, "which version"),
        ("", "", 0, UNKNOWN, "TLS: the line does not say which version"),
    ],
)
def test_verdicts(protocol, cipher, bits, verdict, why):
    found, reason = judge(protocol, cipher, bits)
    assert found is verdict
    assert why in reason
    tls = Tls(protocol=protocol, cipher=cipher, bits=bits)
    assert judged(tls) == (found, reason)
