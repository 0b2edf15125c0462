"""Reporters: each hands a round's report on to one place, in that place's own terms."""
