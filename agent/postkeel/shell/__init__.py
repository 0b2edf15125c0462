"""The part that acts: processes, files, sockets, clocks. It never decides.

What to do comes from `core`; what happened goes back to it as values. The one
writer of Postfix's files is `writer`; everything else here only reads them.

    agent, round, looking, correction   the side "root": files and handshakes, corrected
    certificate_facts, served, tlsa     what certificates there are, which are shown, what DNS says
    monitoring, log_source, records     the side "monitor": the mail log, counted and told
    delivery, outbox, inbox, pulse      reports on their way, and those that come by the clock
"""
