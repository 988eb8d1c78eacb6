"""The house is as `house.py` draws it: thin files, short functions, arrows that point one way."""

from __future__ import annotations

import ast

import pytest

from tests import house

names = pytest.mark.parametrize("name", house.files())


def test_the_reading_order_names_every_file_once():
    assert sorted(house.order()) == sorted(house.files())
    assert all(len(house.about(name)) > 10 for name in house.order())


def test_the_path_to_understand_simclr_is_short():
    assert sum(map(house.lines, house.PATH)) <= 1500


@names
def test_a_file_is_thin_and_its_functions_are_short(name):
    assert house.lines(name) <= 250
    for node in ast.walk(ast.parse(house.files()[name].read_text())):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{node.name}: {length} lines"


@names
def test_a_file_imports_from_floors_below(name):
    if name not in ("__init__", "__main__"):
        for other in house.imports(name, house.files()[name]):
            assert house.floor(other) <= house.floor(name), f"{name} imports {other}"


def test_no_imports_form_a_circle():
    arrows = {n: house.imports(n, path) for n, path in house.files().items()}
    left = dict(arrows)
    while left:
        free = [name for name, others in left.items() if not others & set(left)]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]
