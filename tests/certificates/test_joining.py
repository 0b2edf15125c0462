"""The joined file: what is taken over, and that it says of which files it was made."""

import hashlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import make_certificate
from postkeel.certificates.joining import contents, joined, sources

CERTIFICATE = "/etc/letsencrypt/live/mx.example.org/fullchain.pem"
KEY = "/etc/letsencrypt/live/mx.example.org/privkey.pem"
LINE = (
    f'# postkeel joined this of "{KEY}" and "{CERTIFICATE}"; it follows their renewals\n'
).encode()


def block(label, *lines):
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


LEAF, ISSUER = block("CERTIFICATE", "bGVhZg=="), block("CERTIFICATE", "aXNzdWVy")
RSA = block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED", "", "a2V5")
PLAIN = block("PRIVATE KEY", "a2V5")


def test_the_key_comes_first_then_the_certificates_in_their_order():
    assert joined(LEAF + ISSUER, PLAIN, CERTIFICATE, KEY) == LINE + PLAIN + LEAF + ISSUER


@pytest.mark.parametrize(
    ("certificate", "key", "taken"),
    [
        pytest.param(PLAIN + LEAF, PLAIN + ISSUER, PLAIN + LEAF, id="each file holds both"),
        pytest.param(
            b"subject=CN = mx\n" + LEAF + b"junk\n\n" + ISSUER + b"tail",
            b"Bag Attributes\n" + PLAIN,
            PLAIN + LEAF + ISSUER,
            id="text around",
        ),
        pytest.param(LEAF.replace(b"\n", b"\r\n"), RSA, RSA + LEAF, id="ends of lines, headers"),
        pytest.param(LEAF[:-1], PLAIN.rstrip(), PLAIN + LEAF, id="no newline at the end"),
        pytest.param(LEAF + ISSUER[:-5], PLAIN, PLAIN + LEAF, id="the last one is cut"),
        pytest.param(ISSUER[:30] + b"\n" + LEAF, PLAIN, PLAIN + LEAF, id="the first one is cut"),
        pytest.param(
            block("TRUSTED CERTIFICATE", "YQ=="),
            block("EC PARAMETERS", "YQ==") + block("EC PRIVATE KEY", "YQ=="),
            block("EC PRIVATE KEY", "YQ==") + block("TRUSTED CERTIFICATE", "YQ=="),
            id="kinds of blocks",
        ),
        pytest.param(
            block("CERTIFICATE REQUEST", "YQ==") + block("PUBLIC KEY", "YQ=="), b"", b"", id="none"
        ),
        pytest.param(b"\x00\xff" * 100, b"\xef\xbb\xbf", b"", id="no text"),
        pytest.param(b"-----BEGIN -----\n-----END -----\n", b"-----BEGIN\n", b"", id="no label"),
    ],
)
def test_only_keys_and_certificates_are_taken_over(certificate, key, taken):
    assert joined(certificate, key, CERTIFICATE, KEY) == LINE + taken


def test_openssl_loads_what_was_joined(tmp_path):
    made = make_certificate("ecdsa", host="mx.example.org", address="192.0.2.1")
    file = tmp_path / "joined.pem"
    long = "/" + "long " * 100 + "-----BEGIN CERTIFICATE-----"
    file.write_bytes(joined(made.certificate.encode(), made.key.encode(), long, long))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)


def test_a_file_of_many_beginnings_takes_no_time():
    content = b"-----BEGIN CERTIFICATE-----\n" * 37_000
    assert joined(content, content, CERTIFICATE, KEY) == LINE


PATHS = st.text(min_size=1).map(lambda rest: f"/{rest}")
ODD = ["/a b", '/" and "', "/new\nline", "/caf\u00e9", "/raw \udcff", "/back\\slash", "/\u2028"]


@given(PATHS | st.sampled_from(ODD), PATHS | st.sampled_from(ODD), st.binary(max_size=40))
def test_the_first_line_names_any_two_files(certificate, key, rest):
    made = joined(LEAF, PLAIN, certificate, key)
    line, _, _ = made.partition(b"\n")
    assert line.isascii()
    assert line.decode().isprintable()
    assert sources(line + b"\n" + rest) == (certificate, key)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        LINE.replace(b'"/', b'"./'),
        LINE.replace(KEY.encode(), b""),
        PLAIN + LEAF,
        LINE[:-1],
        b" " + LINE,
        LINE.replace(b"follows", b"followed"),
        LINE.replace(b" and ", b" or  "),
        LINE.replace(b"\n", b" and more\n"),
        LINE.replace(b"/etc", b"\\u002fetc"),
        b"# postkeel joined this of 1 and 2; it follows their renewals\n",
        b'# postkeel joined this of "a" and 2; it follows their renewals\n',
        b'# postkeel joined this of "\\q" and "a"; it follows their renewals\n',
        b'# postkeel joined this of "\\u0061" and "a"; it follows their renewals\n',
        b'# postkeel joined this of "/\\q" and "/a"; it follows their renewals\n',
        b"# postkeel joined this of \xff\n",
        b"# postkeel joined this of " + b"[" * 2000 + b"\n",
        b"# postkeel joined this of " + b'"' + b"a" * 70000 + b"\n",
    ],
)
def test_no_other_file_is_taken_for_a_joined_one(content):
    assert sources(content) is None


@given(st.binary())
def test_any_content_is_told(content):
    assert sources(content) is None
    assert sources(b"# postkeel joined this of " + content) is None


def test_contents_is_the_digest():
    assert contents(LINE) == hashlib.sha256(LINE).hexdigest()
