"""The Prefect flows, one file each, over the same verbs that the command line calls.

Kept empty of imports: Prefect loads `flows.bare_names` while it is itself being imported.
"""
