"""Generates the messages and the services from the protos while the wheel is built.

The protos are those of the repository (../../proto), or those beside this file in a source
distribution. Nothing generated is kept in the source tree.
"""

import pathlib
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
BESIDE = HERE / "proto"
PROTOS = BESIDE if BESIDE.is_dir() else HERE.parent.parent / "proto"

sys.path.insert(0, str(HERE))


class BuildPy(build_py):
    def run(self):
        import generate  # Beside this file; needs the build requirements.

        super().run()
        generate.generate(PROTOS, pathlib.Path(self.build_lib))


class Sdist(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        shutil.copytree(PROTOS / "relais", pathlib.Path(base_dir) / "proto" / "relais")


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
