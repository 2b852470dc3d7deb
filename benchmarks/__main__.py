"""`python benchmarks`: every benchmark, one after the other, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
    if path.stem not in ("machine", "same_run", "near_copies", "gpu"):  # to be told on what
        print(f"\n## {path.name}\n", flush=True)
        subprocess.run([sys.executable, str(path)], check=True)
