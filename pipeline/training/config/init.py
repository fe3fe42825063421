"""The ``init`` section: the trained model a run starts from.

A section of its own, beside ``model``: the keys of ``model`` are its constructor's parameters, which say what the network *is*
and go into every ``model.json``; where its first weights come from is the run's affair, and goes into neither.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.strict import Strict


class InitConfig(Strict):
    """Weights alone: step, optimizer and average begin anew, and the average begins with these weights."""

    model: str = Field(description="folder of a finished run, or of a model (model.json); path or URL")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="of the weights; filled in when the run begins. It, not the path, is part of what the run is",
    )
