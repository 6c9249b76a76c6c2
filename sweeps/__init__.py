"""The search space, the plan and its execution by Ray Tune; the only package that starts Ray."""
