"""How long the reader of tables takes, and how much memory, beside the one before encodings.

    python benchmarks/readers.py [--before REVISION]

Written are 500,000 rows of text (a number, a Korean or English sentence with commas and quotes, a
label) as CSV and as TSV in UTF-8 and cp949, and 1,000,000 rows of a series of two values by the
minute. Each is read by the reader of today and by that of a revision (`common/io/tables.py` there,
which decodes and reads with csv), in turns and in processes of their own: CPU seconds of
`read_table` (the median), and how far the process grew beyond what it had before.
"""

import argparse
import datetime
import importlib.util
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe

BEFORE = "f53c251"
TURNS = 3
TEXTS, TIMES = 500_000, 1_000_000
WORDS = [
    "정말",
    "재미있는",
    "영화",
    "였다",
    "the",
    "film",
    "was",
    "dull",
    "그리고",
    "연기",
    "좋다",
    "good",
]
FORMS = {  # of the texts: delimiter, encoding
    "texts.csv": (",", "utf-8"),
    "texts.tsv": ("\t", "utf-8"),
    "texts-cp949.csv": (",", "cp949"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", default=BEFORE, help="the revision to compare with")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(*map(Path, arguments.read))
        return
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before.py"
        source = f"{arguments.before}:common/io/tables.py"
        root = Path(__file__).parent.parent
        before.write_bytes(subprocess.check_output(["git", "show", source], cwd=root))
        now = root / "common" / "io" / "tables.py"
        for table in write(Path(folder)):
            show(table, {"before": before, "now": now})


def write(folder: Path) -> list[Path]:
    draw = random.Random(0)
    rows = [
        (str(number), " ".join(draw.choices(WORDS, k=draw.randint(3, 14))), str(number % 2))
        for number in range(TEXTS)
    ]
    for name, (delimiter, encoding) in FORMS.items():
        quotes = name.endswith(".csv")
        lines = [delimiter.join(("id", "document", "label"))]
        lines += [
            f'{id_}{delimiter}"{text}, ""{text[:3]}"""{delimiter}{label}'
            if quotes and int(id_) % 3 == 0
            else f"{id_}{delimiter}{text}{delimiter}{label}"
            for id_, text, label in rows
        ]
        (folder / name).write_bytes("\n".join(lines).encode(encoding))
    first = datetime.datetime(2020, 1, 1)
    with (folder / "series.csv").open("w", encoding="utf-8") as file:
        file.write("date,load,price\n")
        for minute in range(TIMES):
            at = first + datetime.timedelta(minutes=minute)
            file.write(f"{at},{draw.gauss(100, 9):.3f},{draw.gauss(5, 1):.2f}\n")
    return [*map(folder.joinpath, FORMS), folder / "series.csv"]


def show(table: Path, readers: dict[str, Path]) -> None:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in readers}
    for _ in range(TURNS):
        for name, reader in readers.items():
            command = [sys.executable, __file__, "--read", str(reader), str(table)]
            found[name].append(json.loads(subprocess.check_output(command)))
    rows = {turn["rows"] for turns in found.values() for turn in turns}
    assert len(rows) == 1, f"the readers disagree on {table.name}: {rows}"
    for name, turns in found.items():
        seconds, megabytes = (
            statistics.median(turn[key] for turn in turns) for key in ("seconds", "megabytes")
        )
        size = table.stat().st_size / 2**20
        print(f"{table.name} ({size:.0f} MB), {name}: {seconds:.2f} s, {megabytes:.0f} MB")
    sys.stdout.flush()


def read(reader: Path, table: Path) -> None:
    """Read a table with a reader, and print what it took."""
    tables = load(reader)
    columns = ["date", "load", "price"] if table.stem == "series" else ["document", "label"]
    at_first, begun = peak(), time.process_time()
    found = tables.read_table(table, columns)
    seconds = time.process_time() - begun
    print(json.dumps({"rows": len(found), "seconds": seconds, "megabytes": peak() - at_first}))


def load(path: Path) -> Any:
    """Import the module in a file."""
    spec = importlib.util.spec_from_file_location("reader", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reader"] = module
    spec.loader.exec_module(module)
    return module


def peak() -> float:
    """Return the most memory that this program ever had, in megabytes (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main()
