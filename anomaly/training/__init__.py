"""The workshop of room 4: what several detectors are made with.

`sampling` (uniform samples in bounded memory), `exact` (products that do not depend on how rows
are cut), `seeding` and `loop` (training of networks). Only the last two import torch.
"""
