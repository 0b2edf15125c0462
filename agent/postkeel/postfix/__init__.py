"""What Postfix's configuration means: pure, and part of the plugin contract.

    main_cf, master_cf   the files, with lines; reading and smallest edits
    instance             one instance's facts, and what a service gets of them
    expansion            $name, ${name}, ${name?x:y}
    levels, protocols, ciphers   what the TLS settings come to

postconf is the authority; tests compare every reading here with it.
"""
