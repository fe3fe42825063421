"""Batched augmentation on the device: images, landmarks, their visibility and their mask change together.

One family of operations per file: ``geometry``, ``colour``, ``blur``, ``occlusion``; ``compose`` and ``images`` make one pass
of them. A named set is a file that ends with ``AUGMENTATION = …`` (``adnet``, ``uglli``, ``custom``), chosen by
``augmentation: {name: …}``.
"""
