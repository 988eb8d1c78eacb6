"""One run without a notebook: `python -m simclr_lib -p preset laptop -p width 2`.

For batch systems, and with `torchrun` for several nodes. It writes the record and the weights that
a notebook with the same parameters would write, and finds.
"""

from __future__ import annotations

import argparse
import json

from .config import Config
from .machine import devices, parallel
from .paths import output_dir, writable
from .runs import one, records
from .train import NotFiniteError


def main(arguments: list[str] | None = None) -> None:
    """Train, evaluate and record what the arguments say, unless it is recorded.

    What cannot be done, such as a parameter that is not valid, a folder that is not there or a
    download that fails, is said in one sentence, and the process ends with exit code 2; a run that
    diverges, or did so when it was recorded, is said so likewise, with exit code 1.
    """
    parser = argparse.ArgumentParser(prog="python -m simclr_lib", description=__doc__)
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
                        help="a parameter of Config, as in a notebook")  # fmt: skip
    parser.add_argument("--method", dest="p", action="append", metavar="NAME",
                        type=lambda name: ("method", name), help="as -p method NAME")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        run(Config.create(**{name: text for name, text in given.p if text != "None"}))
    except (OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except NotFiniteError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


def run(config: Config) -> None:
    """Make this run, alone or with the other processes of `torchrun`, and print its metrics."""
    parallel.join_torchrun(gpus=devices.choose(config.device).type == "cuda")
    path, first = records.path_of(config), parallel.rank() == 0
    if parallel.from_first(path.exists):
        parallel.leave()
        if first:
            print(f"already recorded: {records.provenance([path])}")
    else:
        writable(output_dir(config), "output_dir")
        one.make(config)
        parallel.leave()
    if first:
        record = json.loads(path.read_text())
        print(path, json.dumps(record["metrics"], indent=1), sep="\n")
        if "failed" in record:
            raise NotFiniteError(record["failed"])


if __name__ == "__main__":
    main()
