"""Hands reports to a central syslog, and keeps them until one has taken them.

    plugin          the hooks, and options: a report becomes a message and goes into the spool;
                    nothing else is waited for
    spool           what has not been taken yet, on the disk
    sender          a thread: the first collector that can be had, back-off, failover
    transfer        from the spool over one link, and the numbers of what was taken back to it
    link            a connection that stands; streams (TCP, TLS) and datagrams (UDP, unix) are links
    conversation    what is said on a stream, as pure values: relp, and window for plain syslog

The guarantee of each transport stands at the top of relp, window and datagrams. Without a
collector none of this is imported, and nothing is kept.
"""

from __future__ import annotations

from postkeel_plugins.central.plugin import Reporter

__all__ = ["reporter"]

reporter = Reporter()
