"""What a report says to those who collect reports: fields, messages, and sums of them.

A report becomes a `Message`: its severity, its event, one flat table of named texts
(`fields`), and a sentence. The message is then written as RFC 5424, as the fields of a
journal entry or as `@cee:` JSON; all of them carry the same names. What arrived is read
back by `fleet`. Pure, and part of the plugin contract.
"""
