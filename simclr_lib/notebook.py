"""The parameters cell of a notebook, as it is now, and the cell that papermill injects after it."""

from __future__ import annotations

import ast
import contextlib
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .parameters import nearest, reject_unknown

COMPUTED = object()  # stands for a value that is not written down in the cell
_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def notebook_parameters(
    namespace: Mapping[str, Any], fields: Collection[str], own: Collection[str] = ()
) -> dict[str, Any]:
    """What the parameters cell of a notebook and papermill's own cell set, in its `namespace`.

    `fields` are the names of parameters, `own` those that the notebook alone knows. Raises
    `ValueError` on another name, on nan or infinity in a parameter of the notebook's own, and on
    `method` (say) where the notebook's own `methods` would pass it over.

    The parameters cell is the first that ran and assigns a `known` name, in the version that ran
    last: a later cell is the same one, edited, if most of its names are known and it has half of
    the first's, or begins with the same name. A name that begins with _ is a helper, no parameter.
    Values that are written down there are these, others are the kernel's.
    """
    if "In" not in namespace:
        raise ValueError(
            "there are no cells to read parameters from; use Config.create in a script"
        )
    sources, known = list(namespace["In"]), {*fields, *own}
    cells = [assignments(source) for source in sources]
    first = next((i for i, cell in enumerate(cells) if known & cell.keys()), None)
    if first is None:  # all of it misspelt?
        misspelt = (i for i, cell in enumerate(cells) if any(nearest(n, known, 0.75) for n in cell))
        first = next(misspelt, None)
    if first is None:
        return {}
    injected = [i for i, source in enumerate(sources) if source.split("\n")[0] == "# Parameters"]
    edited = [
        i
        for i in range(first + 1, len(cells))
        if i not in injected and _same_cell(cells[first], cells[i], known)
    ]
    parameters = {
        name: namespace[name] if value is COMPUTED else value
        for i in sorted({(edited or [first])[-1], *injected[-1:]})
        for name, value in cells[i].items()
        if name in namespace
    }
    reject_unknown(sorted(parameters), known)
    for name in parameters.keys() & set(own):
        _refuse_not_finite(name, parameters[name])
    for name in (name for i in injected[-1:] for name in cells[i]):
        if f"{name}s" in own and name not in cells[first]:
            raise ValueError(
                f"{name}={parameters[name]!r} is not valid here; it must be given as {name}s, by "
                "which this notebook says what is trained"
            )
    return parameters


def _same_cell(first: dict[str, Any], later: dict[str, Any], known: set[str]) -> bool:
    ours, all_names = 2 * len(known & later.keys()), len(later)
    if not later or ours < all_names:
        return False
    shared = 2 * len(first.keys() & later.keys())
    return next(iter(first)) == next(iter(later)) or (ours > all_names and shared >= len(first))


def assignments(cell: str) -> dict[str, Any]:
    """The names that a cell assigns outside functions, and their values if those are literals.

    Of the cell that calls `from_notebook`, only what comes before that call.
    """
    found: dict[str, Any] = {}
    try:
        statements = ast.parse(cell).body
    except (SyntaxError, ValueError):  # such a cell did not run
        return found
    for statement in statements:
        nodes = ast.walk(statement)
        if any(isinstance(node, ast.Attribute) and node.attr == "from_notebook" for node in nodes):
            break
        found |= dict.fromkeys(_targets(statement), COMPUTED)
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                with contextlib.suppress(TypeError, ValueError):
                    found[name] = ast.literal_eval(value)
            case ast.Expr(  # as IPython writes a cell that begins with %%time
                ast.Call(ast.Attribute(attr="run_cell_magic"), [
                    ast.Constant("time" | "capture"), _, ast.Constant(str(body)),
                ])
            ):  # fmt: skip
                found |= assignments(body)
    return {name: value for name, value in found.items() if not name.startswith("_")}


def _targets(node: ast.AST) -> Iterator[str]:
    """Names that are assigned at or below `node`, but by a loop's head or in another scope."""
    if isinstance(node, _SCOPES) or (isinstance(node, ast.AnnAssign) and node.value is None):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.For | ast.AsyncFor) and child is node.target):
            yield from _targets(child)


def _refuse_not_finite(name: str, value: Any) -> None:
    """Raise `ValueError` if a number in `value`, also deep in lists, is nan or infinite."""
    if isinstance(value, list | tuple | set | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_not_finite(name, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(
            f"{name} holds {value!r}, which is not valid; papermill reads the words nan and inf as "
            "numbers, and no parameter takes them"
        )
