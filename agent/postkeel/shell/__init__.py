"""The part that acts: processes, files, sockets, clocks. It never decides.

What to do comes from `core`; what happened goes back to it as values. The one
writer of Postfix's files is `writer`; everything else here only reads them.
"""
