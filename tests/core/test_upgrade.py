"""What changed between two marks, and the sentence that tells it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.model import DefaultChange, PackageChange, Upgrade
from postkeel.core.packages import AptRun, Done, LogPart
from postkeel.core.upgrade import SENTENCE_LIMIT, Mark, tls_defaults, told, upgrade_between

RELEASES = Path(__file__).parent.parent / "cases" / "releases"
OLD, NEW = "3.7.11-0+deb12u1", "3.10.13-0+deb13u1"


def at(minute):
    return datetime.fromisoformat(f"2026-11-23 07:{minute:02d}")


def mark(versions=(), defaults=(), warnings=()):
    return Mark(
        status=(1,), versions=dict(versions), log="", defaults=dict(defaults), warnings=warnings
    )


def done(name, before, after, minute):
    return Done(time=at(minute), name=name, before=before, after=after)


def run(command, minute, until=None, requester="", **left):
    return AptRun(
        began=at(minute),
        ended=at(minute if until is None else until),
        command=command,
        requester=requester,
        left=frozenset(left.items()),
    )


def log(*all_done, known=True):
    return LogPart(done=all_done, known=known, last="")


def built_in(release):
    lines = (RELEASES / f"{release}.defaults").read_text().splitlines()
    return tls_defaults(dict(line.split(" = ", 1) for line in lines if " = " in line))


BEFORE = mark({"postfix": OLD, "libssl3": "3.0.22", "ssl-cert": "1"})
AFTER = mark({"postfix": NEW, "libssl3t64": "3.5.4", "ssl-cert": "1"})
UPGRADED = log(
    done("libssl3t64", None, "3.5.4", 30),
    done("postfix", OLD, NEW, 31),
    done("libssl3", "3.0.22", None, 32),
)


def test_nothing_changed():
    upgrade = upgrade_between(BEFORE, BEFORE, log(), [run("apt-get install", 1, postfix=OLD)])
    assert upgrade == Upgrade()
    assert not upgrade.found
    assert told(upgrade) == ""


def test_versions_tell_what_changed_and_the_logs_when_and_by_whom():
    runs = [
        run("apt-get update", 10, postfix=OLD),
        run("apt-get full-upgrade", 29, 33, "admin", postfix=NEW, libssl3t64="3.5.4", libssl3=None),
        run("apt-get install postfix", 40, postfix=NEW),
    ]
    upgrade = upgrade_between(BEFORE, AFTER, UPGRADED, runs)
    assert upgrade.packages == (
        PackageChange(name="postfix", before=OLD, after=NEW),
        PackageChange(name="libssl3", before="3.0.22", after=None),
        PackageChange(name="libssl3t64", before=None, after="3.5.4"),
    )
    assert told(upgrade) == (
        f"package upgrade: postfix {OLD} -> {NEW}, libssl3 3.0.22 removed, libssl3t64 3.5.4"
        " installed (apt-get full-upgrade by admin, 2026-11-23 07:31)"
    )


def test_without_logs_the_versions_still_tell():
    upgrade = upgrade_between(BEFORE, AFTER)
    assert len(upgrade.packages) == 3
    assert (upgrade.time, upgrade.command) == (None, "")
    assert told(upgrade).endswith("libssl3t64 3.5.4 installed")


def test_without_dpkgs_log_the_last_run_that_fits_is_named():
    runs = [run("first", 10, postfix=NEW), run("second", 20, postfix=NEW)]
    assert upgrade_between(BEFORE, AFTER, log(), runs).command == "second"
    runs = [run("only a library", 10, libssl3t64="3.5.4")]
    assert upgrade_between(BEFORE, AFTER, log(), runs).command == "only a library"


def test_by_hand_with_dpkg_no_run_of_apts_is_blamed():
    older = [run("apt-get install postfix", 5, postfix=NEW)]
    upgrade = upgrade_between(BEFORE, AFTER, UPGRADED, older)
    assert (upgrade.command, upgrade.time) == ("", at(31))
    assert "(2026-11-23 07:31)" in told(upgrade)


def test_installed_again():
    again = log(done("postfix", OLD, OLD, 31))
    runs = [run("apt-get install --reinstall postfix", 30, 32, postfix=OLD)]
    upgrade = upgrade_between(BEFORE, BEFORE, again, runs)
    assert upgrade.packages == (PackageChange(name="postfix", before=OLD, after=OLD),)
    assert told(upgrade) == (
        f"packages: postfix {OLD} installed again"
        " (apt-get install --reinstall postfix, 2026-11-23 07:31)"
    )


def test_a_log_of_which_nobody_knows_what_is_new_makes_nothing_installed_again():
    assert not upgrade_between(
        BEFORE, BEFORE, log(done("postfix", OLD, OLD, 31), known=False)
    ).found


def test_removed_and_purged_is_not_installed_again():
    upgrade = upgrade_between(BEFORE, mark({"ssl-cert": "1"}), log(done("postfix", OLD, None, 31)))
    assert told(upgrade) == (
        f"packages: postfix {OLD} removed, libssl3 3.0.22 removed (2026-11-23 07:31)"
    )


def test_the_time_has_its_zone_where_it_is_known():
    upgrade = Upgrade(
        packages=(PackageChange(name="postfix", before=None, after=NEW),),
        time=at(31).replace(tzinfo=UTC),
    )
    assert told(upgrade) == f"packages: postfix {NEW} installed (2026-11-23 07:31 UTC)"


def test_what_debian_13_changes_under_a_configuration_of_debian_12():
    before = mark({"postfix": OLD}, built_in("3.7.11"), ("old warning",))
    warnings = ("old warning", "main.cf: smtpd_use_tls will be removed")
    after = mark({"postfix": NEW}, built_in("3.10.13"), warnings)
    upgrade = upgrade_between(before, after)
    changes = {one.parameter: one for one in upgrade.defaults}
    assert changes["tls_medium_cipherlist"].before.startswith("aNULL:-aNULL")
    assert changes["smtp_tls_enable_rpk"].before is None
    sentence = told(upgrade)
    assert f"postfix {OLD} -> {NEW}; " in sentence
    assert " defaults changed: tls_" in sentence
    assert " parameters new" in sentence
    assert sentence.endswith("postconf now warns: main.cf: smtpd_use_tls will be removed")


def test_defaults_can_change_without_a_package():
    before, after = mark((), {"tls_a": "1", "tls_b": "2"}), mark((), {"tls_b": "3"})
    upgrade = upgrade_between(before, after)
    assert upgrade.packages == ()
    assert told(upgrade) == "1 default changed: tls_b; 1 parameter gone"


def test_a_new_warning_alone_is_no_upgrade():
    """An administrator's mistake makes one, too."""
    assert not upgrade_between(mark(), mark(warnings=("unused parameter",))).found


def test_defaults_that_tls_hangs_on():
    known = dict.fromkeys(["smtp_tls_CAfile", "inet_protocols", "myhostname", "smtpd_use_tls"], "")
    assert set(tls_defaults(known)) == {"smtp_tls_CAfile", "inet_protocols", "smtpd_use_tls"}


changes = st.builds(
    PackageChange,
    name=st.text(max_size=80),
    before=st.none() | st.text(max_size=80),
    after=st.none() | st.text(max_size=80),
)
defaults = st.builds(
    DefaultChange,
    parameter=st.text(max_size=80),
    before=st.none() | st.text(),
    after=st.none() | st.text(),
)
many = st.lists


@given(
    st.builds(
        Upgrade,
        packages=many(changes).map(tuple),
        defaults=many(defaults).map(tuple),
        warnings=many(st.text(max_size=999)).map(tuple),
        time=st.none() | st.datetimes(),
        command=st.text(max_size=200),
        requester=st.text(max_size=200),
    )
)
def test_the_sentence_is_one_line_of_bounded_length(upgrade):
    assert len(told(upgrade).encode()) <= SENTENCE_LIMIT
    assert told(upgrade).isprintable() or told(upgrade) == ""


@pytest.mark.parametrize("count", [4, 5])
def test_only_so_many_are_named(count):
    after = mark((), {f"tls_{one}": "2" for one in range(count)})
    before = mark((), {f"tls_{one}": "1" for one in range(count)})
    more = " and 1 more" if count == 5 else ""
    wanted = f"{count} defaults changed: tls_0, tls_1, tls_2, tls_3{more}"
    assert told(upgrade_between(before, after)) == wanted
