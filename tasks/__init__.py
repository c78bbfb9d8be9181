"""How the library's work runs under Prefect: how often it is tried again, how much of it at once.

`policy` (retry rule, `fan_out`), `processes` (local cores), `outcome` (bad videos as named states),
`names` (what a task run is called).
"""
