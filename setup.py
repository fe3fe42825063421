"""The build step that pyproject.toml cannot say: the wheel carries ``configs/`` as ``pipeline/configs``."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """In a checkout configs stay where users edit them, beside the packages (``pipeline.training.config.shipped``)."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "pipeline", "configs")
            shutil.copytree(Path(__file__).parent / "configs", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
