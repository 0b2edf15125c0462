"""What Postfix writes to the mail log about TLS: reading, joining, counting, forecast.

`values` are the words, `prefix` and `messages` read one line, `reader` joins the
lines of each process and counts them, `tally` holds the counts, `forecast` asks
what a profile would have refused. Pure, and part of the plugin contract.
"""
