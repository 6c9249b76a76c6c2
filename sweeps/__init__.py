"""The search space, the plan and its execution by Ray Tune; the only package that starts Ray."""

import gc

# Torch, Lightning and Ray make half a million objects, none of them garbage; to look for some again and
# again takes a quarter of the time of their import, in the driver and in every worker. Trials collect
# after themselves.
gc.set_threshold(100_000, 50, 100)
