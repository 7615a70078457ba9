"""How the documentation is built; `.ci/docs` does it."""

import os
import sys
from pathlib import Path

import matplotlib as mpl

import cbackprop
from cbackprop import curves

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
mpl.use("agg")

project = "cbackprop"
author = "The cbackprop developers"
copyright = author
version = release = cbackprop.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery/*.md", "gallery/*.rst", "gallery/*.txt", "gallery/*.py"]
root_doc = "index"
nitpicky = False  # the types in numpydoc's parameter lists are words, not links

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "cbackprop"
html_static_path = ["_static"]
html_css_files = ["cbackprop.css"]
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "friendly",
    "pygments_dark_style": "github-dark",
}
html_context = {"default_mode": "auto"}
PAGES_ALONE = ("index", "getting_started", "mathematics", "reference", "benchmarks", "comparison")
html_sidebars = {page: [] for page in PAGES_ALONE}
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The programs on the pages are run by `sphinx-build -b doctest`.
doctest_global_setup = """
import numpy as np
import cbackprop as cbp
from cbackprop import curves
np.set_printoptions(precision=6, suppress=True)
"""
trim_doctest_flags = True

plot_include_source = True
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 144)]
plot_working_directory = str(HERE)

os.environ.setdefault("MPLBACKEND", "agg")
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "capture_repr": (),
    "plot_gallery": "True",
    "matplotlib_animations": False,
    "reset_modules": ("matplotlib",),
    "remove_config_comments": True,
    "thumbnail_size": (400, 280),
}
suppress_warnings = ["config.cache"]


def write_tables() -> None:
    """Write the table of curves that the guide includes, from the package itself."""
    rows = ["| curve | formula | parameters |", "|---|---|---|"]
    for name, curve in curves.CURVES.items():
        rows.append(f"| `{name}` | {curve.formula} | {', '.join(curve.parameters)} |")
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    text = "\n".join(rows).replace("^", "\\^").replace("*", "\\*")
    (folder / "curves.inc").write_text(text + "\n", encoding="utf-8")


write_tables()
