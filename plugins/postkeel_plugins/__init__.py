"""The plugins that come with postkeel, written against the public contract alone.

    config_enforcer       judges Postfix's settings by the profile, and says how to mend them
    certificate_watcher   judges certificates, and has renewed ones made live once they are right
    tls_log_monitor       counts what mail travels over, from the mail log, and raises alarms
    header_checker        sends itself messages, and looks at Received lines: do all tell the same?
    central               hands reports to a central syslog, and keeps them until one has them
    reporters             hand each report on to one place of this host

A plugin imports `postkeel.contract`, `.certificates`, `.database`, `.headers`, `.maillog`,
`.postfix` and `.reporting`, and nothing else of the agent. It observes facts, lines of the
mail log or headers, and returns findings and what is to be kept; the agent does the rest. A
plugin of side "root" may say how to mend what it finds; one of side "monitor", which reads
what strangers wrote, may not.
"""
