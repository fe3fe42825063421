"""Batched augmentation on the device: pictures, landmarks, their visibility and their mask change together.

One family of operations per file: ``geometry``, ``colour``, ``blur``, ``occlusion``; ``compose`` and ``pictures`` make one pass
of them. A named set is a file that ends with ``AUGMENTATION = …`` (``adnet``, ``uglli``, ``custom``), chosen by
``augmentation: {name: …}``.
"""
