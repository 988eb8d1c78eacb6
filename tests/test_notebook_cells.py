"""The parameters cell of a notebook: read by its names, in its latest version."""

from __future__ import annotations

import contextlib

import pytest
from IPython.core.interactiveshell import InteractiveShell

from simclr_lib.config import PRESETS, Config


def notebook(*cells):
    """The globals of a kernel that ran these cells."""
    namespace = {"In": [""], "Config": Config}
    for cell in cells:
        namespace["In"].append(cell)
        with contextlib.suppress(SyntaxError):
            exec(cell, namespace)
    return namespace


PARAMETERS = 'preset = "smoke"  # scale\nwidth = 1\nepochs = None\nseeds = [0, 1]'
ITS_OWN = 'config = Config.from_notebook(globals(), "seeds")\nfor width in (8, 9):\n    seed = 9'


def test_notebook_parameters_are_taken_and_checked():
    later = "import math\nfound = 3\nfor i in range(2): pass", "guess = 3"
    config = Config.from_notebook(notebook(PARAMETERS, "# Parameters\nwidth = 2", *later), "seeds")
    assert (config.width, config.epochs) == (2.0, PRESETS["smoke"]["epochs"])
    again = notebook(PARAMETERS, *later, PARAMETERS + "\ntemperature: float = 0.7")
    assert Config.from_notebook(again, "seeds").temperature == 0.7  # edited and run again
    with pytest.raises(ValueError, match=r"unknown parameter 'widht'; did you mean 'width'\?"):
        Config.from_notebook(notebook(PARAMETERS, "# Parameters\nwidht = 4"), "seeds")
    with pytest.raises(ValueError, match="unknown parameter 'seeds'"):
        Config.from_notebook(notebook(PARAMETERS))
    both = notebook('preset = "smoke"\nmethods = "all"', "# Parameters\nmethod = 'BYOL'")
    with pytest.raises(ValueError, match="method='BYOL' is not valid here; .* given as methods"):
        Config.from_notebook(both, "methods")
    with pytest.raises(ValueError, match=r"use Config.create in a script"):
        Config.from_notebook({"preset": "smoke"})


@pytest.mark.parametrize(
    ("cells", "expected"),
    [  # whatever computes the values
        ([PARAMETERS + "\nimport math\nepochs = 2 * math.ceil(2.5)\nprint(epochs)"], {"epochs": 6}),
        ([PARAMETERS + "\nwidth, depth = 2, 34\nwidth *= 2"], {"width": 4, "depth": 34}),
        ([PARAMETERS + "\nif width:\n    epochs = 7\nelse:\n    epochs = 9"], {"epochs": 7}),
        ([PARAMETERS + "\n_half = 8\nloss = f'nt_{chr(120)}ent'"], {"loss": "nt_xent"}),
        ([PARAMETERS + "\ndef seed():\n    depth = 50"], {"seed": 0, "depth": 18}),
        ([PARAMETERS + "\nfor k in (1, 2):\n    depth = 17 * k"], {"depth": 34}),
        # a line that is deleted is no longer in force, even if all but one are
        ([PARAMETERS, ITS_OWN, 'preset = "smoke"\nseeds = 1'], {"width": 1, "base_channels": 4}),
        ([PARAMETERS + "\ndepth = 34", ITS_OWN, 'preset = "smoke"'], {"depth": 18}),
        ([PARAMETERS + "\ndepth = 34", ITS_OWN, "preset ="], {"depth": 34}),  # did not run
        ([PARAMETERS, "# Parameters\ndepth = 34", "# Parameters\nwidth = 2"], {"depth": 18}),
        ([PARAMETERS, "# Parameters\nwidth = 2", PARAMETERS], {"width": 1}),
        # cells before and after it are not it
        (["import sys\nIN_COLAB = 0", PARAMETERS + "\nwidth = 2", ITS_OWN], {"width": 2}),
        ([PARAMETERS, ITS_OWN, "top, left, height, width = 1, 2, 3, 4"], {"width": 1}),
        ([PARAMETERS + "\nseed = 0", ITS_OWN, "seed = 3"], {"seed": 0}),
        ([PARAMETERS, "width, height = 5, 6", "seed = 3\ndepth = 34"], {"width": 1, "seed": 0}),
        ([ITS_OWN, "epochs = 7"], {"preset": "quick", "seed": 0}),  # without parameters
        (['preset = "smoke"\nwidth = 2\n' + ITS_OWN], {"preset": "smoke", "width": 2}),
    ],
)
def test_the_parameters_cell_is_read_as_it_is_now(cells, expected):
    config = Config.from_notebook(notebook(*cells), "seeds")
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (PARAMETERS + "\ntemperature = float('nan')", "temperature=nan is not valid"),
        (PARAMETERS + "\nseeds = [0, [1, float('inf')]]", "seeds holds inf, which is not valid"),
        (PARAMETERS + "\nn = 2 * 4", "unknown parameter 'n'"),
        ('prest = "smoke"', "unknown parameter 'prest'; did you mean 'preset'"),
    ],
)
def test_papermills_nan_and_misspelt_names_are_refused_wherever_they_are(cell, words):
    for cells in ([cell], [PARAMETERS, "# Parameters\n" + cell]):
        with pytest.raises(ValueError, match=words):
            Config.from_notebook(notebook(*cells), "seeds")


def test_magics_in_a_real_kernel_do_not_hide_the_parameters():
    shell, set_up = InteractiveShell.instance(), "%matplotlib --list\nfrom simclr_lib import Config"
    cells = (set_up, "%%time\npreset = 'smoke'\nwidth = 2", "depth?", ITS_OWN)
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()
    assert (shell.user_ns["config"].preset, shell.user_ns["config"].width) == ("smoke", 2)
