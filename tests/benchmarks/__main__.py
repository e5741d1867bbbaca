"""Every benchmark, one after the other: `python -m tests.benchmarks [NAME …]`."""

import importlib
import pkgutil
import sys
from pathlib import Path

__all__ = ("main",)


def main(names: list[str]) -> None:
    """Run the benchmarks of those names, or all; one whose packages are not installed is left out with a line."""
    there = [info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]) if not info.name.startswith("_")]
    if unknown := set(names) - set(there):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(there)}.")
    for name in names or there:
        print(f"\n== {name}\n", flush=True)
        try:
            module = importlib.import_module(f"tests.benchmarks.{name}")
        except ModuleNotFoundError as missing:
            print(f"left out: {missing.name} is not installed")
            continue
        sys.argv = [f"python -m tests.benchmarks.{name}"]
        module.main()


if __name__ == "__main__":
    main(sys.argv[1:])
