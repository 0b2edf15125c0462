"""How each mail server writes Received lines: a module each, with a `parts.Reader`."""
