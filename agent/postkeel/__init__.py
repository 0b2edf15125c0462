"""postkeel keeps a host's Postfix at a hardened TLS state.

`core` decides and never touches the system; `postfix` knows what Postfix's
configuration means and is as pure as core; `shell` acts and never decides;
`cli` is the command line. Plugins see `contract` and `postfix`, nothing else.
"""

__version__ = "0.1.0"
