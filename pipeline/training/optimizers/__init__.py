"""The optimizers, a file each, which ends with ``OPTIMIZER = …``: whatever makes a torch.optim.Optimizer of ``params``.

All are torch's own: DeepSpeed's CPU Adam is compiled at first use, and its ``{"type": "Adam"}`` silently means AdamW. ``lr`` is
the rate of the whole run, which the trainer multiplies by the schedule's factor before each step.
"""
