"""Share of mutants that the tests kill, by module, from the results of `mutmut run`."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path


def main() -> None:
    """Print a table."""
    mutmut = Path(sys.executable).with_name("mutmut")
    text = subprocess.run([mutmut, "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, state in re.findall(r"^\s*(\S+): (.+)$", text, flags=re.MULTILINE):
        module = re.sub(r"\.x(_|ǁ).*$", "", name).removeprefix("churn_kedro.")
        counts[module][state.strip()] += 1
    print("| module | mutants | killed | survived | not reached | share killed |\n|---|---|---|---|---|---|")
    for module, found in sorted(counts.items()):
        killed = found["killed"] + found["timeout"] + found["segfault"]
        tried = killed + found["survived"] + found["no tests"]
        if tried:
            print(
                f"| {module} | {tried} | {killed} | {found['survived']} | {found['no tests']} | {killed / tried:.0%} |"
            )


if __name__ == "__main__":
    main()
