"""What people ask for, one file a verb: scan, extract, train, score, evaluate, report, query.

A verb opens the root, looks at the archive, hands per-video work to a `FanOut` and returns a summary of
plain values. The CLI and the Prefect flows call the same verbs with the same arguments.
"""
