"""The promises around the code: one list of versions, cheap imports, tidy notebooks, true words."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.inspection import inspect_notebook

from simclr_lib import records
from simclr_lib.config import Config

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
    assert {p.stem for p in NOTEBOOKS} >= {"00_start_here", "03_nt_xent", "table6"}


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
    where = {"output_dir": str(tmp_path)} if "table6" in path.stem or "start" in path.stem else {}
    done = run(path, tmp_path / "out.ipynb", preset="smoke", **where)
    assert not [o for c in done.cells for o in c.get("outputs", []) if o.output_type == "error"]
    if where:
        kept = sorted(tmp_path.glob("*/*.json"))
        assert len(kept) >= 3
        assert all(json.loads(p.read_text())["config"]["preset"] == "smoke" for p in kept)


@pytest.mark.filterwarnings("default")
@names
def test_a_misspelt_parameter_stops_the_notebook_at_once(path, tmp_path):
    with pytest.raises(PapermillExecutionError, match=r"'widht'; did you mean 'width'"):
        run(path, tmp_path / "out.ipynb", preset="smoke", widht=4, output_dir=str(tmp_path))
    assert not list(tmp_path.glob("*/*.json"))


@pytest.mark.filterwarnings("default")
def test_table6_takes_a_width(tmp_path):
    run(
        ROOT / "reproductions" / "table6.ipynb", tmp_path / "out.ipynb",
        preset="smoke", width=4, methods="SimCLR", output_dir=str(tmp_path),
    )  # fmt: skip
    (record,) = (json.loads(p.read_text()) for p in tmp_path.glob("table6/*.json"))
    assert record["config"]["width"] == 4
    assert record["method"] == "SimCLR"


def test_commands_and_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= targets
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
    for module in re.findall(r"`(\w+\.py)`", text):
        assert (ROOT / "simclr_lib" / module).exists(), module


def results_table():
    """The README's results, from the committed records."""
    lines = [
        "| data | encoder | random | SimCLR | SimCLR, crop alone | supervised | runs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups = (
        ("start_here", "embedded (first notebook)", "synthetic"),
        ("table6", "embedded (Table 6)", "synthetic"),
        ("table6", "CIFAR-10 (JPEG copy; Table 6)", "cifar10-jpeg"),
    )
    for name, title, dataset in groups:
        found = [r for r in records.read(name) if r["config"]["dataset"] == dataset]
        for channels in sorted(
            {r["config"]["width"] * r["config"]["base_channels"] for r in found}
        ):
            cells, seeds = [], set()
            for method in ("random", "SimCLR", "SimCLR, crop alone", "supervised"):
                values = [
                    r["metrics"]["linear"]
                    for r in found
                    if r["method"] == method
                    and r["config"]["width"] * r["config"]["base_channels"] == channels
                ]
                seeds.add(len(values)) if values else None
                cell = f"{statistics.mean(values):.1f}" if values else "not run"
                cell += f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
                cells.append(cell)
            encoder = f"ResNet-18, {channels:g} channels"
            lines.append("| " + " | ".join([title, encoder, *cells, str(max(seeds))]) + " |")
    return "\n".join(lines)


def test_results_in_the_readme_are_those_of_the_records():
    text = (ROOT / "README.md").read_text()
    shown = re.search(r"<!-- results.*?-->\n(.*?)\n<!-- end of results -->", text, re.S)
    assert shown, "README.md has lost its results"
    assert shown[1].strip() == results_table(), f"the records say:\n{results_table()}"


def test_the_example_in_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names: dict = {}
    exec(code, names)
    assert names["optimizer"].state, "the optimizer has made a step"
