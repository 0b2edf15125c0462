"""What the processes of a Postfix log while they talk, and what each line says."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mail_log_cast import Cast, Entry
from mail_log_parties import BACKGROUND, FAILURES, FORGED, NO_TLS, NOTICES, Party

SERVERS = ("postfix/smtpd",) * 7 + (
    "postfix/submission/smtpd",
    "postfix/submissions/smtpd",
    "postfix-out/smtpd",
)
INBOUND, OUTBOUND = "inbound", "outbound"
TRUST_OF_SERVER = ("Untrusted",) * 6 + ("Trusted",) * 3 + ("Verified", "Anonymous")


class Conversations(Cast):
    """Makes up conversations; every process takes part in one at a time."""

    def __init__(self, dice: random.Random, peers: int, *, kin: bool) -> None:
        super().__init__(dice, peers)
        self.kin = kin
        self.mix: list[tuple[int, Callable[[], list[Entry]]]] = [
            (300, self.served),
            (280, self.delivered),
            (70, self.delivered_again),
            (40, self.delivered_elsewhere),
            (50, self.screened),
            (90, self.rejected),
            (45, self.refused_handshake),
            (25, self.failed_delivery),
            (25, self.failed_proxy),
            (20, self.relayed_inside),
            (6, self.notice),
            (100, self.background),
            (25, self.hostile),
        ]
        self.makers = [make for weight, make in self.mix for _ in range(weight)]

    def next(self, at_most: int) -> list[Entry]:
        """A conversation of at most so many lines, in the order in which they are written."""
        made = self.dice.choice(self.makers)()
        if len(made) > at_most:
            self.over(made[-1])
            made = [self.aside() for _ in range(at_most)]
        return made

    # Clients that come to us

    def served(self) -> list[Entry]:
        """A client that hands over mail, with TLS or without."""
        name, client = self.dice.choice(SERVERS), self.party()
        tag = self.process(name)
        made = [Entry(tag, f"connect from {client.text}")]
        session = (INBOUND, *NO_TLS)
        if secured := self.dice.random() < 0.8 or name.endswith("submissions/smtpd"):
            made.append(self.summary(tag, name, client))
            session = made[-1].says[0][2]
        mails = self.dice.choice((0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 8))
        for _ in range(mails):
            made += self.received(tag, client)
        says = []
        if mails:
            says.append(("connection", name, session, client.domain, 0 if secured else 1, mails))
        made.append(Entry(tag, self.farewell(client, mails, secured=secured), *says))
        made[-1].frees = (tag,)
        return made

    def summary(self, tag: str, name: str, client: Party) -> Entry:
        """The line of a handshake with a client."""
        suite = self.suite(client)
        trust, certificate = "Anonymous", ""
        sni = " to mx.lab.test" if self.dice.random() < 0.1 else ""
        if self.dice.random() < 0.05:
            trust = self.dice.choice(("Trusted", "Untrusted", "Verified"))
            certificate = suite.with_client
        text = f"{trust} TLS connection established from {client.text}{sni}: {suite.text}"
        session = (INBOUND, trust, *suite.session, False)
        says = ("connection", name, session, client.domain, 1, 0)
        return Entry(tag, text + certificate, says)

    def farewell(self, client: Party, mails: int, *, secured: bool) -> str:
        """What smtpd counts when a client leaves; a few commands fail too."""
        if not mails:
            counts = "rcpt=0/2 quit=1 commands=3/5"
        elif self.dice.random() < 0.1:
            counts = (
                f"rcpt={mails}/{mails + 1} data={mails}/{mails + 1} rset=1 quit=1 commands=9/11"
            )
        elif self.dice.random() < 0.1:
            counts = f"rcpt={mails} bdat={mails * 2} quit=1 commands={4 + 3 * mails}"
        else:
            counts = f"rcpt={mails} data={mails} quit=1 commands={4 + 3 * mails}"
        greeting = "ehlo=2 starttls=1" if secured else "ehlo=1"
        return f"disconnect from {client.text} {greeting} mail={max(mails, 1)} {counts}"

    def received(self, tag: str, client: Party) -> list[Entry]:
        """One mail on its way from smtpd into a mailbox."""
        queue_id = self.queue_id()
        dovecot = self.dice.random() < 0.5
        relay, writer = ("mx1[private/dovecot-lmtp]", "lmtp") if dovecot else ("virtual", "virtual")
        sender = f"user{self.number % 977}@{client.host}"
        return [
            Entry(tag, f"{queue_id}: client={client.text}"),
            Entry("postfix/cleanup[777]", f"{queue_id}: message-id=<{queue_id}@{client.host}>"),
            Entry(
                "postfix/qmgr[111]",
                f"{queue_id}: from=<{sender}>, size={self.number}, nrcpt=1 (queue active)",
            ),
            Entry(
                f"postfix/{writer}[5555]",
                f"{queue_id}: to=<u{self.number % 99}@lab.test>, relay={relay}, delay=0.76,"
                " delays=0.75/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 <u> Saved)",
            ),
            Entry("postfix/qmgr[111]", f"{queue_id}: removed"),
        ]

    def rejected(self) -> list[Entry]:
        """A client that is turned away, with a recipient that may be a forgery."""
        client = self.party()
        tag = self.process("postfix/smtpd")
        recipient = self.dice.choice(FORGED) if self.dice.random() < 0.1 else "d@lab.test"
        made = [
            Entry(tag, f"connect from {client.text}"),
            Entry(
                tag,
                f"NOQUEUE: reject: RCPT from {client.text}: 554 5.7.1 Service unavailable; Client"
                f" host [{client.address}] blocked using zen.spamhaus.org; from=<a@b.example>"
                f" to=<{recipient}> proto=ESMTP helo=<x>",
            ),
            Entry(tag, f"disconnect from {client.text} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"),
        ]
        made[-1].frees = (tag,)
        return made

    def refused_handshake(self) -> list[Entry]:
        """A client whose handshake fails."""
        name, client = self.dice.choice(SERVERS), self.party()
        tag = self.process(name)
        cause, library, reason = self.dice.choice(FAILURES)
        texts = [f"SSL_accept error from {client.text}: {cause}", *library]
        made = [Entry(tag, f"connect from {client.text}")]
        made += [Entry(tag, text) for text in texts]
        made[1].says = (("failure", name, INBOUND, reason, client.domain),)
        made += [
            Entry(tag, f"lost connection after STARTTLS from {client.text}"),
            Entry(tag, f"disconnect from {client.text} ehlo=1 starttls=0/1 commands=1/2"),
        ]
        made[-1].frees = (tag,)
        return made

    def screened(self) -> list[Entry]:
        client = self.party()
        tag = "postfix/postscreen[12]"
        return [
            Entry(tag, f"CONNECT from [{client.address}]:{self.number + 1024} to [192.0.2.1]:25"),
            Entry(
                "postfix/dnsblog[13]",
                f"addr {client.address} listed by domain zen.spamhaus.org as 127.0.0.4",
            ),
            Entry(tag, f"PREGREET 14 after 0.1 from [{client.address}]:4242: EHLO x]: y\\r\\n"),
            Entry(tag, f"PASS OLD [{client.address}]:{self.number + 1024}"),
        ]

    # Servers that we go to

    def delivered(self) -> list[Entry]:
        """Mail to one server, one or two recipients, over TLS or in clear."""
        server = self.party()
        tag, queue_id = self.process("postfix/smtp"), self.queue_id()
        made = self.submitted(queue_id)
        session = (OUTBOUND, *NO_TLS)
        if secured := self.dice.random() < 0.9:
            made.append(self.handshake(tag, server))
            session = made[-1].says[0][2]
        made.append(self.taken(tag, queue_id, server, session, clear=not secured))
        if self.dice.random() < 0.2:  # a second recipient of the same mail, which says no more
            made.append(Entry(tag, made[-1].text.replace("to=<", "to=<second.", 1)))
        return self.ended(made, queue_id, tag)

    def submitted(self, queue_id: str) -> list[Entry]:
        """A mail that was written here, or one that waited in the queue."""
        written = [
            Entry("postfix/pickup[99]", f"{queue_id}: uid=1000 from=<www>"),
            Entry("postfix/cleanup[777]", f"{queue_id}: message-id=<{queue_id}@mx1>"),
        ]
        return [
            *(written if self.number % 3 == 0 else ()),
            Entry(
                "postfix/qmgr[111]",
                f"{queue_id}: from=<www@lab.test>, size=999, nrcpt=1 (queue active)",
            ),
        ]

    def ended(self, made: list[Entry], queue_id: str, *tags: str) -> list[Entry]:
        made.append(Entry("postfix/qmgr[111]", f"{queue_id}: removed"))
        made[-1].frees = tags
        return made

    def handshake(self, tag: str, server: Party, *, reused: bool = False) -> Entry:
        """The line of a handshake with a server, or of a connection that is used again."""
        suite = self.suite(server)
        usual = TRUST_OF_SERVER[len(server.host) % len(TRUST_OF_SERVER)]
        trust = usual if self.dice.random() < 0.9 else self.dice.choice(TRUST_OF_SERVER)
        session = (OUTBOUND, trust, *suite.session, reused)
        word = "reused" if reused else "established"
        text = f"{trust} TLS connection {word} to {server.text}:25: {suite.text}"
        return Entry(tag, text, ("connection", "postfix/smtp", session, server.domain, 1, 0))

    def taken(
        self,
        tag: str,
        queue_id: str,
        server: Party,
        session: tuple[Any, ...],
        *,
        clear: bool,
        more: str = "",
    ) -> Entry:
        """The line of a recipient whom the server took. clear: over a new connection in clear."""
        recipient, domain = self.recipient(server)
        name = tag.partition("[")[0]
        reply = f"queued as {queue_id[::-1]}"
        if self.dice.random() < 0.05:
            reply = f"x]: {self.dice.choice(FORGED)}"
        text = (
            f"{queue_id}: to=<{recipient}>, relay={server.text}:25, {more}delay=0.76,"
            f" delays=0.75/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: {reply})"
        )
        return Entry(
            tag,
            text,
            ("connection", name, session, server.domain, 1 if clear else 0, 1),
            ("destination", domain, server.domain, session),
        )

    def recipient(self, server: Party) -> tuple[str, str]:
        """An address there and its domain; a few try to look like something else."""
        number = self.dice.randrange(3000)
        if self.dice.random() < 0.05:
            return f"{self.dice.choice(FORGED)[:-9]}@Peer{number}.Example", f"peer{number}.example"
        domain = "lab.test" if server.domain.startswith("[") else server.domain
        return f"x{number}@{domain}", domain

    def delivered_again(self) -> list[Entry]:
        """A TLS connection that tlsproxy keeps: its twin line, and a second mail over it."""
        server = self.party()
        tag, proxy, queue_id = (
            self.process("postfix/smtp"),
            "postfix/tlsproxy[215]",
            self.queue_id(),
        )
        new = self.handshake(tag, server)
        made = [*self.submitted(queue_id), Entry(proxy, new.text), new]
        session = new.says[0][2]
        made.append(self.taken(tag, queue_id, server, session, clear=False))
        second = self.queue_id()
        again = Entry(tag, new.text.replace("established", "reused", 1))
        repeated = (*session[:-1], True)
        again.says = (("connection", "postfix/smtp", repeated, server.domain, 1, 0),)
        more = f"conn_use={self.dice.randrange(2, 90)}, "
        made += [
            *self.submitted(second),
            again,
            self.taken(tag, second, server, repeated, clear=False, more=more),
        ]
        return self.ended(made, second, tag)

    def delivered_elsewhere(self) -> list[Entry]:
        """The first server fails after its handshake, or in it; another takes the mail in clear."""
        first, second = self.party(), self.party()
        while second.text == first.text or (not self.kin and second.domain == first.domain):
            second = self.party()
        tag, queue_id = self.process("postfix/smtp"), self.queue_id()
        made = self.submitted(queue_id)
        if self.dice.random() < 0.5:
            made.append(self.handshake(tag, first))
            text = f"{queue_id}: host {first.text} said: 450 4.7.1 {self.dice.choice(FORGED)}"
            made.append(Entry(tag, f"{text} (in reply to RCPT TO command)"))
        else:
            made += self.failed_handshake(tag, first)
        made.append(self.taken(tag, queue_id, second, (OUTBOUND, *NO_TLS), clear=True))
        return self.ended(made, queue_id, tag)

    def failed_handshake(self, tag: str, server: Party) -> list[Entry]:
        cause, library, reason = self.dice.choice(FAILURES)
        made = [Entry(tag, f"SSL_connect error to {server.text}:25: {cause}")]
        made += [Entry(tag, text) for text in library]
        says = ("failure", "postfix/smtp", OUTBOUND, reason, server.domain)
        made[0].says = (says,)
        return made

    def failed_delivery(self) -> list[Entry]:
        """A handshake that fails, and the mail that waits."""
        server = self.party()
        tag, queue_id = self.process("postfix/smtp"), self.queue_id()
        made = self.submitted(queue_id) + self.failed_handshake(tag, server)
        made.append(
            Entry(
                tag,
                f"{queue_id}: to=<x@peer1.example>, relay={server.text}:25, delay=0.04,"
                " delays=0.02/0/0.03/0, dsn=4.7.5, status=deferred (Cannot start TLS: handshake"
                " failure)",
                ("TLS required and not to be had",),
            )
        )
        made[-1].frees = (tag,)
        return made

    def failed_proxy(self) -> list[Entry]:
        """tlsproxy says first what its library says, and then whose handshake it was."""
        peer = self.party()
        name = "postfix/tlsproxy"
        tag = self.process(name)
        _, library, reason = self.dice.choice([one for one in FAILURES if one[1]])
        service = self.dice.choice(("smtpd", "smtp"))
        direction = INBOUND if service == "smtpd" else OUTBOUND
        made = [Entry(tag, text) for text in library]
        shown = f"[{peer.address}]:4711" if service == "smtpd" else f"{peer.text}:25"
        domain = f"[{peer.address}]" if service == "smtpd" else peer.domain
        made.append(
            Entry(
                tag,
                f"TLS handshake failed for service={service} peer={shown}",
                ("failure", name, direction, reason, domain),
            )
        )
        made[-1].frees = (tag,)
        return made

    def relayed_inside(self) -> list[Entry]:
        """Mail to an LMTP server on the same host over TCP, in clear."""
        server = Party("localhost", "127.0.0.1")
        tag, queue_id = self.process("postfix/lmtp"), self.queue_id()
        made = self.submitted(queue_id)
        made.append(self.taken(tag, queue_id, server, (OUTBOUND, *NO_TLS), clear=True))
        return self.ended(made, queue_id, tag)

    # The rest

    def notice(self) -> list[Entry]:
        writer, text, kind = self.dice.choice(NOTICES)
        entry = Entry(self.process(writer), text.format(peer=self.party().text), (kind,))
        entry.frees = (entry.tag,)
        return [entry]

    def aside(self) -> Entry:
        writer, text = self.dice.choice(BACKGROUND)
        return Entry(writer, text)

    def background(self) -> list[Entry]:
        return [self.aside()]

    def hostile(self) -> list[Entry]:
        """Other programs that try to speak as Postfix."""
        writer = self.dice.choice(("kernel", "sshd[22]", "evil: postfix/smtpd[77]", "su[1]"))
        return [Entry(writer, self.dice.choice(FORGED))]
