"""ROOM 6: join scores with truth and say how good they are.

`metrics/` holds one file per metric, `bootstrap` gives intervals over videos, `evaluate` puts
them together, `results` keeps them, `table` shows them.
"""
