"""Laws of the certificate watcher, for facts of every kind: it is total, and it makes live only
what is right."""

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certificate_cases import FILE, NAME, NOW, certificate, certificates_of, served_of
from postkeel.certificates.values import (
    Certificates,
    Chain,
    Credential,
    Fault,
    FaultKind,
    FileSeen,
    Joined,
    Key,
    Kind,
    Loaded,
    Served,
    Table,
    Tlsa,
    TlsaRecord,
    Trust,
    Use,
)
from postkeel.contract import (
    BuildTable,
    Event,
    EventKind,
    Finding,
    JoinFiles,
    LookAgain,
    Need,
    Reload,
    SetParameter,
)
from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel_plugins import certificate_watcher
from postkeel_plugins.certificate_watcher.rules import RULES

# The fixture is a function that makes values; a loaded machine draws slowly.
UNHURRIED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DIRECTORY = "/etc/postfix"
MAIN_CF = f"smtpd_tls_chain_files = {FILE}\nsmtpd_tls_security_level = may\nmyhostname = {NAME}\n"
TABLE = "hash:/etc/postfix/sni"
SERVICES = ("smtp/inet", "submission/inet", "nobody/unix")
NAMES = ("", "shop.example", ".shop.example", NAME, "\u00fc.example")
FILES = (FILE, "/etc/ssl/k.pem", TABLE, "/etc/postfix/postkeel-chain.pem", "")
SHAS = ("aaaa", "0d", "", "a" * 64)

texts = st.sampled_from(("", "x", "CN=R11", "a \u20ac", "no such file"))
shas = st.sampled_from(SHAS)
moments = st.floats(-100, 100).map(lambda days: NOW + timedelta(days=days))
keys = st.builds(
    Key,
    algorithm=st.sampled_from(("RSA", "EC", "DSA", "Ed25519", "")),
    bits=st.sampled_from((0, 224, 256, 1024, 4096)),
    curve=st.sampled_from(("", "secp256r1", "brainpoolP256r1")),
)
certificates = st.builds(
    partial(replace, certificate()),
    begins=moments,
    ends=moments,
    sha256=shas,
    key_sha256=shas,
    key=keys,
    digest=st.sampled_from(("", "sha1", "sha256")),
    names=st.lists(st.sampled_from((NAME, "*.shop.example", "\u00fc")), max_size=2).map(tuple),
    purposes=st.none() | st.lists(st.sampled_from(("serverAuth", "x"))).map(tuple),
    must_staple=st.booleans(),
    self_issued=st.booleans(),
    problems=st.sampled_from(((), ("an extension",))),
    file=st.sampled_from(FILES),
    line=st.integers(0, 9),
)
chains = st.builds(
    Chain,
    certificates=st.lists(certificates, max_size=3).map(tuple),
    trust=st.sampled_from(Trust),
    missing=texts,
)
faults = st.builds(
    Fault,
    kind=st.sampled_from(FaultKind),
    file=st.sampled_from(FILES),
    line=st.integers(0, 3),
    what=st.sampled_from(("empty", "no key")),
    breaks=st.booleans(),
)
seen = st.builds(
    FileSeen,
    path=st.sampled_from(FILES),
    mode=st.integers(0, 0o7777),
    owner=st.integers(0, 2),
    changed=st.none()
    | st.floats(-1e9, 1e9).map(lambda age: NOW - timedelta(seconds=age))
    | st.floats(-2, 12).map(lambda age: NOW - timedelta(seconds=age)),
    problem=texts,
)
loadeds = st.builds(
    Loaded,
    chains=st.lists(chains, max_size=2).map(tuple),
    faults=st.lists(faults, max_size=2).map(tuple),
    files=st.lists(seen, max_size=2).map(tuple),
)
credentials = st.builds(
    Credential,
    kind=st.sampled_from(Kind),
    files=st.lists(st.sampled_from(FILES), max_size=2).map(tuple),
)
uses = st.builds(
    Use,
    credential=credentials,
    services=st.lists(st.sampled_from(SERVICES), max_size=2, unique=True).map(tuple),
    parameter=st.sampled_from(("smtpd_tls_chain_files", "tls_server_sni_maps")),
    where=st.sampled_from(("main.cf:1", "master.cf:3", "default")),
    client=st.booleans(),
    table=st.sampled_from(("", TABLE, "texthash:/t")),
    name=st.sampled_from(NAMES),
)
tables = st.builds(
    Table,
    name=st.just(TABLE),
    indexed=st.booleans(),
    source=st.sampled_from(("", "/etc/postfix/sni")),
    held=st.dictionaries(st.sampled_from(NAMES), st.lists(shas, max_size=2).map(tuple)),
    problem=st.sampled_from(("", "late")),
)
joineds = st.builds(
    Joined,
    path=st.sampled_from(FILES[:-1]),
    certificate=st.sampled_from(FILES),
    key=st.sampled_from(FILES),
    contents=st.sampled_from(("", "c0")),
    current=st.booleans(),
)
handshakes = st.builds(
    Handshake,
    endpoint=st.sampled_from(SERVICES).map(
        lambda name: Endpoint(service=name, host="::1", port="25", direct=False, floor="")
    ),
    below=st.sampled_from(("", "TLSv1.2")),
    protocol=st.sampled_from(("", "TLSv1.3")),
    certificate_sha256=shas,
    problem=texts,
    name=st.sampled_from((*NAMES, "postkeel.shop.example")),
    algorithm=st.sampled_from(("", "RSA", "EC")),
    expected=st.lists(shas, max_size=2).map(tuple),
)
serveds = st.builds(Served, handshakes=st.lists(handshakes, max_size=4).map(tuple))
records = st.builds(
    TlsaRecord,
    usage=st.integers(0, 4),
    selector=st.integers(0, 2),
    matching=st.integers(0, 3),
    data=st.sampled_from(("", "aa", "a" * 64, "9" * 64, "b" * 128)),
)
tlsas = st.builds(
    Tlsa,
    records=st.dictionaries(
        st.tuples(st.sampled_from(("25", "587")), st.sampled_from(NAMES)),
        st.lists(records, max_size=2).map(tuple),
        max_size=3,
    ),
)


@st.composite
def all_certificates(draw):
    used = draw(st.lists(uses, max_size=4))
    found = draw(st.lists(joineds, max_size=2))
    pairs = [Credential(kind=Kind.PAIR, files=(one.certificate, one.key)) for one in found]
    known = [*(one.credential for one in used), *pairs]
    return Certificates(
        uses=tuple(used),
        loaded={one: draw(loadeds) for one in known if draw(st.booleans())},
        tables={TABLE: draw(tables)},
        joined=tuple(found),
        offered=tuple(draw(st.lists(joineds, max_size=1))),
        names=(NAME,),
        roots=(draw(texts), 0),
    )


def observed(instance, known, served=None, tlsa=None, event=None):
    given = {"postfix": instance, "certificates": known, "served": served, "tlsa": tlsa}
    facts = {Need(kind=kind, subject=DIRECTORY): one for kind, one in given.items()}
    event = event or Event(kind=EventKind.TIMER, instance=DIRECTORY, time=NOW)
    return certificate_watcher.keel_observe(event, DIRECTORY, facts, {})


@UNHURRIED
@given(
    known=all_certificates(),
    shown=st.none() | serveds,
    tlsa=st.none() | tlsas,
    changed=st.lists(st.sampled_from(FILES), max_size=1),
)
def test_whatever_the_facts_are(make_instance, known, shown, tlsa, changed):
    instance = make_instance(MAIN_CF, suites=False)
    kind = EventKind.PATHS_CHANGED if changed else EventKind.TIMER
    event = Event(kind=kind, instance=DIRECTORY, time=NOW, detail=tuple(changed))
    found = observed(instance, known, shown, tlsa, event)
    assert found == observed(instance, known, shown, tlsa, event)
    subjects = [one.subject for one in found if isinstance(one, Finding)]
    assert len(subjects) == len(set(subjects))
    offers = (*known.joined, *known.offered)
    readable = {
        (one.certificate, one.key)
        for one in offers
        for pair in [Credential(kind=Kind.PAIR, files=(one.certificate, one.key))]
        if any(chain.certificates for chain in known.loaded.get(pair, Loaded()).chains)
        and not any(fault.breaks for fault in known.loaded[pair].faults)
    }
    for one in found:
        if isinstance(one, LookAgain):
            assert 0 < one.seconds <= 11.2
            assert one.reason
            continue
        assert one.rule in {each.id for each in RULES}
        assert all((one.parameter, one.where, one.effective, one.wanted, one.why))
        assert not (one.remedy and one.forbids_reload)
        assert one.remedy == () or isinstance(one.remedy[-1], (Reload, SetParameter))
        for change in one.remedy:
            assert isinstance(change, (BuildTable, JoinFiles, Reload, SetParameter))
            if isinstance(change, JoinFiles):
                assert change.contents
                assert (change.certificate, change.key) in readable
        if shown is None:
            assert not one.forbids_reload


@UNHURRIED
@given(loaded=loadeds, shown=shas)
def test_a_file_that_breaks_is_never_loaded_by_a_reload(make_instance, loaded, shown):
    """Whatever else is true of it, while some certificate is served."""
    credential = Credential(kind=Kind.CHAIN, files=(FILE,))
    use = Use(
        credential=credential,
        services=("smtp/inet",),
        parameter="smtpd_tls_chain_files",
        where="main.cf:1",
    )
    broken = Fault(kind=FaultKind.KEY, file=FILE, line=1, what="no key")
    known = Certificates(
        uses=(use,),
        loaded={
            credential: Loaded(
                chains=loaded.chains, faults=(*loaded.faults, broken), files=loaded.files
            )
        },
    )
    served = served_of({"handshake": [{"shown": shown, "expected": []}]})
    found = observed(make_instance(MAIN_CF, suites=False), known, served)
    assert any(isinstance(one, LookAgain) or one.forbids_reload for one in found)
    assert not any(isinstance(one, Finding) and one.remedy for one in found)


def test_five_hundred_names_are_judged_quickly(make_instance):
    """Twenty times what it takes on a quiet machine, so that a loaded one does not fail."""
    entries = [
        {
            "files": [f"/etc/ssl/{count}.pem"],
            "chain": [{"leaf": {"sha256": f"{count:04x}", "names": [f"{count}.example"]}}],
            "use": [
                {
                    "services": ["smtp/inet", "submission/inet", "submissions/inet"],
                    "parameter": "tls_server_sni_maps",
                    "table": TABLE,
                    "name": f"{count}.example",
                }
            ],
        }
        for count in range(500)
    ]
    shown = [
        {
            "service": service,
            "name": f"{count}.example",
            "shown": "0d",
            "expected": [f"{count:04x}"],
        }
        for count in range(500)
        for service in ("smtp/inet", "submission/inet", "submissions/inet")
    ]
    case = {"credential": entries, "handshake": shown}
    instance = make_instance(MAIN_CF, suites=False)
    known, served = certificates_of(case), served_of(case)
    before = time.process_time()
    found = observed(instance, known, served)
    took = time.process_time() - before
    assert [one.rule for one in found] == ["certificate-served"] * 500
    assert took < 30
