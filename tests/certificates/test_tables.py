"""Files that tables hang on."""

from __future__ import annotations

import pytest

from postkeel.certificates.tables import files_of, is_remote, split_table


@pytest.mark.parametrize(
    ("table", "files", "remote"),
    [
        ("hash:/etc/sni", ("/etc/sni", "/etc/sni.db"), False),
        ("proxy:cdb:/etc/sni", ("/etc/sni", "/etc/sni.cdb"), False),
        ("lmdb:/etc/sni", ("/etc/sni", "/etc/sni.lmdb"), False),
        ("texthash:/etc/sni", ("/etc/sni",), False),
        ("pcre:/etc/sni", ("/etc/sni",), False),
        ("inline:{ a=/b }", (), False),
        ("static:/b", (), False),
        ("ldap:/etc/ldap.cf", (), True),
        ("proxy:mysql:/etc/mysql.cf", (), True),
        ("nothing", (), True),
    ],
)
def test_what_a_table_hangs_on(table, files, remote):
    assert files_of(table) == files
    assert is_remote(table) is remote


def test_the_parts_of_a_name():
    assert split_table("proxy:socketmap:unix:/x:y") == ("socketmap", "unix:/x:y")
