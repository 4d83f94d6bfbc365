"""Sphinx configuration: ``sphinx-build docs build/docs`` with the extra ``docs`` installed."""

from importlib.metadata import version as _version

project = "legacypipe_lite"
author = "The legacypipe_lite developers"
release = version = _version("legacypipe-lite")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
html_theme = "alabaster"
myst_heading_anchors = 3
