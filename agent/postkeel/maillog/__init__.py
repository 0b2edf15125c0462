"""What Postfix writes to the mail log about TLS: reading, joining, counting, forecast.

`values` are the words, `following` says which log an instance writes, `prefix` and
`messages` read one line, `one_session` those of one message's, `reader` finds the
process that wrote it, `joiner` joins the lines of each process and counts them,
`tally` holds the counts; `parts` reads a log in parts. `stored` makes rows of the
counts and back, `forecast` asks what a profile would have refused. Pure, and part of
the plugin contract.
"""
