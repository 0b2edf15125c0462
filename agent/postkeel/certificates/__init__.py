"""Certificates and private keys: where Postfix uses them, and what is wrong with them.

Pure: bytes come in, values go out, and no clock is asked. A `Credential` names the files that
Postfix loads together; a `Use` says which services show it, and to whom; `Loaded` is what its
files hold. Part of the plugin contract.

Security: who writes a certificate's names may be a stranger. Every text in these values is one
printable line.
"""
