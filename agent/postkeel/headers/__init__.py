"""What mail headers mean: who took a message from whom, over what, and who says so.

`parts` takes a Received line apart, `forms/` knows what each mail server writes into it,
`received` makes a `Hop` of it, `trust` says down to which line one's own hosts wrote,
`way` reads a whole header. `values` holds the words. Bytes in, values out: nothing here acts.

Security: all of it is read as written by strangers. Every reader is total, and bounded in
time and memory by the size of what it is given.
"""
