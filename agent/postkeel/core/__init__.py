"""The part that decides: values in, values out.

    event + facts -> findings -> plan -> outcome -> report
    event + batch -> findings + records -> outcome -> report    (side "monitor": no plan)

Nothing here imports os, io, subprocess, asyncio, logging, time or random: the
clock, the host and chance come in as arguments, so the same facts and event
give the same plan in `check`, `diff`, `enforce --dry-run` and the agent.
"""
