"""Settings of Sphinx: `make docs`."""

from bolus import __version__

project = "bolus"
author = "The bolus developers"
copyright = "The bolus developers, Apache-2.0"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "bolus"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
