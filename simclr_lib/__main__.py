"""One run without a notebook: `python -m simclr_lib -p preset laptop -p width 2`.

For batch systems, and with `torchrun` for several nodes. It writes the record and the weights that
a notebook with the same parameters would write, and finds.
"""

from __future__ import annotations

import argparse
import ast
import json
from typing import Any

from .config import Config
from .machine import devices, parallel
from .runs import one, records


def _value(text: str) -> Any:
    """A number, True, False or None as in Python, anything else as text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def main(arguments: list[str] | None = None) -> None:
    """Train, evaluate and record what the arguments say, unless it is recorded."""
    parser = argparse.ArgumentParser(prog="python -m simclr_lib", description=__doc__)
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="a parameter of Config, as in a notebook")  # fmt: skip
    given = parser.parse_args(arguments)
    chosen = {name: _value(text) for name, text in given.p}
    try:
        config = Config.create(**{name: v for name, v in chosen.items() if v is not None})
    except ValueError as error:
        parser.error(str(error))
    parallel.join_torchrun(gpus=devices.choose(config.device).type == "cuda")
    first, path = parallel.rank() == 0, records.path_of(config)
    if parallel.from_first(path.exists):
        parallel.leave()
    else:
        one.make(config)
        parallel.leave()
    if first:
        print(path, json.dumps(json.loads(path.read_text())["metrics"], indent=1), sep="\n")


if __name__ == "__main__":
    main()
