"""The promises around the code: one list of versions, cheap imports, tidy notebooks, true words."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.inspection import inspect_notebook

from simclr_lib import paths
from simclr_lib.config import Config
from simclr_lib.runs import records
from simclr_lib.train import files as checkpoints
from tests import readme

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("reproductions/*.ipynb")])
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_and_pyproject_name_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pinned = environment["dependencies"][-1]["pip"]
    extras = project()["optional-dependencies"]
    assert pinned == extras["tested"]
    assert all(re.match(r"[\w-]+==[\d.]+", line) for line in pinned)
    named = {re.match(r"[\w-]+", line)[0] for line in pinned}
    wanted = [*project()["dependencies"], *extras["xla"], *extras["dev"]]
    assert named == {re.match(r"[\w-]+", line)[0] for line in wanted}
    assert set(extras["xla"]) <= set(pinned)


def test_import_is_quick_to_begin_with_and_touches_no_accelerator_library():
    command = [sys.executable, "-c", "import sys, simclr_lib; print(*sys.modules)"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch_xla", "torchvision", "sklearn", "pandas", "matplotlib.pyplot", "IPython"}
    assert not heavy & set(result.stdout.split())


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == len(list(ROOT.glob("*/*.ipynb"))) >= 20


@names
def test_notebook_is_executed_tidy_and_parameterised(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert cell.source.count("\n") < 15, cell.source
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):  # by `figures.described`
                about = output.metadata["image/png"]
                assert len(about["alt"]) > 20
                assert about["width"] == 560
                picture = base64.b64decode(output.data["image/png"])
                assert int.from_bytes(picture[16:20], "big") > 650  # pixels: 150 an inch
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
    text = path.read_text()
    assert path.stat().st_size < 1_500_000
    for place in ("/home/", "/Users/", "/tmp/", "site-packages", f"{Path.home()}/", f"{ROOT}/"):
        assert place not in text
    assert "injected-parameters" not in text
    assert notebook.cells[0].cell_type == "markdown"
    assert "\n> " in notebook.cells[0].source, "the claim, quoted, with its place in the paper"


@names
def test_parameters_are_commented_literals_that_papermill_understands(path):
    notebook = nbformat.read(path, 4)
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    statements = ast.parse(cells[0].source).body
    ours = {}
    for statement in statements:
        ours[statement.targets[0].id] = ast.literal_eval(statement.value)
    theirs = inspect_notebook(str(path))
    assert set(ours) == set(theirs)
    assert all(len(facts["help"]) > 10 for facts in theirs.values())
    own = [n for n in ours if n not in Config.__dataclass_fields__]
    Config.create(**{k: v for k, v in ours.items() if v is not None and k not in own})


def run(path, out, **parameters):
    execute_notebook(
        str(path),
        str(out),
        parameters,
        kernel_name="python3",
        cwd=str(path.parent),
        progress_bar=False,
    )
    return nbformat.read(out, 4)


@pytest.mark.filterwarnings("default")
@names
def test_notebook_runs_to_the_end_at_smoke(path, tmp_path):
    done = run(path, tmp_path / "out.ipynb", preset="smoke", output_dir=str(tmp_path))
    outputs = [o for c in done.cells for o in c.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    kept = [json.loads(p.read_text()) for p in tmp_path.glob("records/*.json")]
    nothing = ("03_nt_xent", "figure1", "v2_figure1")
    assert kept or path.stem in nothing, "a record for every run"
    assert all(record["config"]["preset"] == "smoke" for record in kept)


@pytest.mark.filterwarnings("default")
@names
def test_a_misspelt_parameter_stops_the_notebook_at_once(path, tmp_path):
    with pytest.raises(PapermillExecutionError, match=r"'widht'; did you mean 'width'"):
        run(path, tmp_path / "out.ipynb", preset="smoke", widht=4, output_dir=str(tmp_path))
    assert not list(tmp_path.glob("records/*.json"))


BROADER = "crop+flip+color+sobel+equalize+solarize+motion_blur"
AXES = {  # one run of a sweep, as one of many machines would take it, and what it must be
    "figure5": ({"first": "blur", "second": "crop"}, {"augmentations": "blur+crop"}),
    "figure7": ({"models": "R18(2x)"}, {"width": 2.0}),
    "figure8": ({"heads": "linear", "dims": 16}, {"head_layers": 1, "projection_dim": 16}),
    "figure9": ({"batch_sizes": 32, "lengths": 1}, {"batch_size": 32, "epochs": 1}),
    "figure_b1": ({"batch_sizes": 64, "lengths": 1}, {"batch_size": 64, "epochs": 1}),
    "table1": ({"strengths": 0.25, "blur": True}, {"color_strength": 0.25}),
    "table4": ({"losses": "nt_logistic"}, {"loss": "nt_logistic"}),
    "table5": ({"temperatures": 10, "l2_normalize": False}, {"temperature": 10.0}),
    "table6": ({"width": 4, "methods": "SimCLR"}, {"width": 4.0}),
    "table7": ({"shares": "10%", "ways": "from scratch"}, {"start": "random", "label_share": 0.1}),
    "figure_b5": ({"lengths": 3, "shares": "none"}, {"epochs": 3}),
    "table_b3": (
        {"lengths": 1, "augmentations_live": "blur"},
        {"epochs": 1, "augmentations": "crop+flip+color+blur"},
    ),
    "figure_b6": ({"models": "R18(2x)", "shares": "none"}, {"width": 2.0}),
    "table_b2": ({"policies": "broader", "shares": "linear"}, {"augmentations": BROADER}),
    "v2_figure1": ({"models": "R34", "lines": "linear evaluation"}, {"depth": 34}),
    "v2_figure4": ({"models": "R34", "ways": "from scratch"}, {"depth": 34, "start": "random"}),
    "v2_figure5": (
        {"stages": 4, "heads": 4, "shares": "10%"},
        {"method": "fine-tune", "head_layers": 4, "finetune_from": 4, "label_share": 0.1},
    ),
    "v2_figure6": ({"models": "R34", "series": "from scratch"}, {"depth": 34, "start": "random"}),
    "v2_table1": ({"models": "R50 (SK)", "shares": "linear"}, {"depth": 50, "sk_ratio": 0.0625}),
    "v2_table2": ({"rows": "label only", "shares": "10%"}, {"start": "random"}),
    "v2_table3": ({"rows": "supervised", "shares": "10%"}, {"start": "random"}),
    "v2_table_h1": ({"models": "R18", "shares": "supervised"}, {"start": "random"}),
    "table_b1": ({"batch_sizes": 128, "rules": "linear"}, {"learning_rate_scaling": "linear"}),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", AXES)
def test_a_reproduction_takes_its_axes(name, tmp_path):
    given, expected = AXES[name]
    path = ROOT / "reproductions" / f"{name}.ipynb"
    run(path, tmp_path / "out.ipynb", preset="smoke", output_dir=str(tmp_path), **given)
    made = [json.loads(p.read_text()) for p in tmp_path.glob("records/*.json")]
    (record,) = (r for r in made if r["method"] == expected.get("method", r["method"]))
    assert expected.items() <= record["config"].items()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "given"),
    [
        # With this warm-up the usual length of 2 is too short.
        ("figure9", {"lengths": 4, "epochs": 4, "warmup_epochs": 3}),
        ("figure_b1", {"lengths": 4, "epochs": 4, "warmup_epochs": 3}),
        ("table1", {"strengths": 0.3}),
        ("table5", {"temperatures": 0.3}),
        ("figure8", {"dims": 48, "heads": "linear"}),
        ("table_b1", {"batch_sizes": 16}),
    ],
)
def test_what_was_trained_is_shown_also_where_nobody_else_was(name, given, tmp_path):
    path, number = ROOT / "reproductions" / f"{name}.ipynb", next(iter(given.values()))
    done = run(path, tmp_path / "out.ipynb", preset="smoke", output_dir=str(tmp_path), **given)
    tables = [o.data["text/html"] for c in done.cells for o in c.get("outputs", [])
              if "<table" in o.get("data", {}).get("text/html", "")]  # fmt: skip
    assert re.search(rf"<t[hd][^>]*>{number}(\.?0+)?<", tables[0]), tables[0]


def test_a_notebook_that_is_terminated_goes_on_where_it_was(tmp_path):
    given = {"preset": "smoke", "epochs": 20, "num_images": 128, "methods": "SimCLR"}
    given |= {"checkpoint_minutes": 0.02, "device": "cpu", "base_learning_rate": 0.01}

    def start(place):
        words = {**given, "output_dir": tmp_path / place}.items()
        command = [sys.executable, "-m", "papermill", ROOT / "reproductions" / "table6.ipynb"]
        command += [
            tmp_path / f"{place}.ipynb",
            "--cwd",
            ROOT / "reproductions",
            "--no-progress-bar",
        ]
        command += [word for name, value in words for word in ("-p", name, str(value))]
        quiet = {"env": os.environ | {"OMP_NUM_THREADS": "1"}, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, **quiet)

    def step():
        path = next((tmp_path / "disturbed" / "checkpoints").glob("*.pt"), None)
        return checkpoints.load(path)["step"] if path else 0

    with start("disturbed") as first:
        while not step():
            assert first.poll() is None
            time.sleep(0.05)
        seen = step()
        time.sleep(0.3)
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=30) != 0
    time.sleep(2)  # the kernel ends after papermill
    assert step() > seen  # saved then, not at the last regular time
    found = []
    for place in ("disturbed", "left_alone"):
        with start(place) as again:
            assert again.wait() == 0
        (record,) = (json.loads(p.read_text()) for p in (tmp_path / place / "records").iterdir())
        found.append(record)
    assert found[0]["metrics"] == found[1]["metrics"]
    assert found[0]["history"]["loss"] == found[1]["history"]["loss"]


def test_commands_and_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= targets
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
    for module in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / "simclr_lib" / module).exists(), module


def test_make_tutorial_says_where_figures_and_records_are():
    said = re.findall(r"@echo .*?(runs/[\w./]+)", (ROOT / "Makefile").read_text())
    config = Config.create("quick")
    record = records.path_of(config)
    wanted = [paths.figure(config, "start_here_tsne").parent, record.parent]
    assert [ROOT / place for place in said] == [ROOT / "runs/00_start_here.ipynb", *wanted], said


@pytest.mark.parametrize("name", readme.TABLES)
def test_tables_in_the_readme_are_those_of_the_records(name):
    expected = readme.TABLES[name]().strip()
    text = (ROOT / "README.md").read_text()
    assert readme.shown(text, name) == expected, "python -m tests.readme writes them"


def test_the_example_in_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert names["optimizer"].state, "the optimizer has made a step"
