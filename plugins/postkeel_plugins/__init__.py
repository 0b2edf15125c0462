"""The plugins that come with postkeel, written against the public contract alone.

    config_enforcer   judges Postfix's settings by the profile, and says how to mend them
    reporters         hand each round's report on

A plugin imports `postkeel.contract` and `postkeel.postfix`, and nothing else of
the agent. It observes facts and returns findings; the agent does the rest.
"""
