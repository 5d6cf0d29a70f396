"""Runs configs/bench/NAME.json as whole processes and prints requests simulated per wall second.

Called by `./dev bench [NAMES]`. Each figure is the median of the runs; a spread over 10 % is
marked, because then the machine was busy with something else.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KVSIM = ROOT / "build/release/sim/kvsim"
CONFIGS = ROOT / "configs/bench"
RESULTS = ROOT / "results/bench"

# Bars for a 2-core machine: least requests per wall second, most wall seconds, most memory (GiB).
BARS = {
    "1": (100_000, None, None),
    "8": (80_000, None, None),
    "64": (60_000, None, None),
    "1024": (None, 30, 1),
    "8-prefix": (40_000, None, None),
    "8-tiers": (10_000, None, None),
}
RUNS = 3
LONG_RUN_S = 20  # one run is enough above this


def stop(message):
    print(f"bench: {message}", file=sys.stderr)
    sys.exit(2)


def timed_run(name):
    """Wall seconds and peak resident bytes of one process, and the requests that it simulated."""
    folder = RESULTS / name
    experiment = CONFIGS / f"{name}.json"
    command = [KVSIM, "run", experiment, "--outputs", "summary", "--quiet", "-o", folder]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        stop(f"{name}: kvsim ended with exit code {code}")
    requests = json.loads((folder / "summary.json").read_text())["requests"]["arrived"]
    return wall_s, usage.ru_maxrss * 1024, requests


def bench(name):
    runs = [timed_run(name)]
    while len(runs) < RUNS and runs[0][0] < LONG_RUN_S:
        runs.append(timed_run(name))
    walls = [wall_s for wall_s, _, _ in runs]
    wall_s = statistics.median(walls)
    spread = (max(walls) - min(walls)) / wall_s
    return runs[0][2], wall_s, spread, max(peak for _, peak, _ in runs)


def verdict(name, rate, wall_s, peak_bytes):
    """The bar in words and whether it was reached; None when there is no bar."""
    least_rate, most_s, most_gib = BARS.get(name, (None, None, None))
    words, reached = [], []
    if least_rate is not None:
        words.append(f">= {least_rate:,} req/s")
        reached.append(rate >= least_rate)
    if most_s is not None:
        words.append(f"<= {most_s} s")
        reached.append(wall_s <= most_s)
    if most_gib is not None:
        words.append(f"<= {most_gib} GiB")
        reached.append(peak_bytes <= most_gib * 2**30)
    return ", ".join(words) or "-", all(reached) if reached else None


def names_to_run(asked):
    present = {path.stem for path in CONFIGS.glob("*.json")}
    wrong = [name for name in asked if name not in present]
    if wrong:
        stop(f"found {', '.join(wrong)}; allowed: {', '.join(sorted(present)) or 'none yet'}")
    in_order = [name for name in BARS if name in present] + sorted(present - BARS.keys())
    return [name for name in in_order if name in asked] if asked else in_order


def main():
    names = names_to_run(sys.argv[1:])
    if not names:
        stop("no configs/bench/*.json to run")
    RESULTS.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, Release, whole process, one at a time")
    titles = f"{'bench':<10}{'requests':>11}{'wall s':>9}{'spread':>8}{'req/wall s':>12}"
    print(titles + f"{'peak MiB':>10}  bar")
    missed = 0
    for name in names:
        requests, wall_s, spread, peak_bytes = bench(name)
        rate = requests / wall_s
        bar, reached = verdict(name, rate, wall_s, peak_bytes)
        missed += reached is False
        word = {None: "", True: " reached", False: " MISSED"}[reached]
        noisy = "!" if spread > 0.10 else " "
        print(
            f"{name:<10}{requests:>11,}{wall_s:>9.2f}{spread:>7.0%}{noisy}{rate:>12,.0f}"
            f"{peak_bytes / 2**20:>10.0f}  {bar}{word}",
            flush=True,
        )
    print("spread = (slowest - fastest) / median; ! = over 10 %, measure again on an idle machine")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
