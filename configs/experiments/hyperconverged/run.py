#!/usr/bin/env python3
"""Runs the experiments of tables.json and prints each table: predicted, published, error.

Usage: run.py KVSIM OUT [--only A,B] [--jobs N] [--measurements FILE]
"""
import argparse
import concurrent.futures
import csv
import itertools
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def load(path):
    """JSON with // comments at the start of a line."""
    with open(path, encoding="utf-8") as file:
        return json.loads(re.sub(r"(?m)^\s*//.*$", "", file.read()))


def rows_of(table):
    """Every row, once for each choice of the table's product."""
    choices = [list(dimension.items()) for dimension in table.get("product", [])]
    for chosen in itertools.product(*choices):
        for row in table["rows"]:
            overrides = dict(row.get("set", {}))
            for _, more in chosen:
                overrides.update(more)
            names = [name for name, _ in chosen] + [row["name"]]
            yield dict(row, name=", ".join(names), set=overrides)


def run(kvsim, out, row):
    command = [kvsim, "run", os.path.join(HERE, row["run"]), "-o", out, "--quiet"]
    for pointer, value in row["set"].items():
        command += ["--set", f"{pointer}={json.dumps(value)}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{row['name']}: {done.stderr.strip()}")
    with open(os.path.join(out, "summary.json"), encoding="utf-8") as file:
        return json.load(file)


def step_waits(summary):
    """Share of the time that steps wait for KV, and for whom."""
    waits = summary.get("step_waits_s")
    if not waits:
        return "-"
    loads = waits["loads"]
    engines = sum(r["kind"] == "gpu" for r in summary["resources"])
    everything = engines * summary["simulated_s"]
    text = f"{100 * (loads + waits['stores'] + waits['lookups']) / everything:.0f} %"
    parts = sorted(waits["load_stages"].items(), key=lambda part: -part[1])
    named = [f"{name} {100 * value / loads:.0f}" for name, value in parts if value > 0.05 * loads]
    return text + (f" ({', '.join(named)})" if loads > 0.01 * everything else "")


def figures(summary):
    throughput = summary["throughput"]
    parts = summary["ttft_breakdown_s"]
    answer = throughput["output_tokens_per_s"] / throughput["requests_per_s"]
    values = {
        "tokens_per_s_per_user": answer / summary["latency_s"]["e2e"]["mean"],
        "requests_per_s": throughput["requests_per_s"],
        "output_tokens_per_s": throughput["output_tokens_per_s"],
        "hit_percent": 100 * (summary["cache"]["hit_rate"] or 0),
        "ttft_s": summary["latency_s"]["ttft"]["mean"],
        "lookup_s": parts["lookup"],
        "fetch_s": sum(parts["fetch"].values()),
        "step_waits": step_waits(summary),
        "keys": sum(store["puts"] for store in summary.get("stores", [])),
        "stored_megabytes": sum(store["live_bytes"] for store in summary.get("stores", [])) / 1e6,
    }
    return values


def measured_of(path, model, configuration):
    """Peak output tokens/s of a visible case, None where the file is not at hand."""
    if not path or not os.path.exists(path):
        return None
    pattern = re.compile(rf"l40s-v0\.4\.0-gmu0\.9-{re.escape(model)}-{configuration}-peak@c\d+$")
    with open(path, encoding="utf-8", newline="") as file:
        for case in csv.DictReader(file):
            if pattern.match(case["case_id"]) and case["metric"] == "output_throughput":
                return float(case["value"])
    return None


def show(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.0f}"


def print_table(table, rows, results):
    print(f"\n{table['title']}")
    if "note" in table:
        print(f"  {table['note']}")
    columns = table["columns"]
    lines = [["", *columns]]
    worst = {}
    for row, values in zip(rows, results):
        if "gain_percent" in columns:
            base = results[0]["requests_per_s"]
            values["gain_percent"] = 100 * (values["requests_per_s"] / base - 1)
        line = [row["name"]]
        for column in columns:
            text = show(values.get(column))
            published = row.get("published", {}).get(column)
            if published is not None and values.get(column) is not None:
                percent = column.endswith("_percent")
                error = values[column] - published if percent else 100 * (values[column] / published - 1)
                unit = " pt" if percent else " %"
                text += f" (published {show(published)}: {error:+.1f}{unit})"
                worst[column] = max(worst.get(column, 0), abs(error))
            line.append(text)
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    for column, error in worst.items():
        print(f"  worst {column}: {error:.1f} {'points' if column.endswith('_percent') else '%'}")
    key = columns[0] if columns[0] == "output_tokens_per_s" else "requests_per_s"
    for ratio in table.get("ratios", []):
        above, below = ratio["over"]
        value = results[above][key] / results[below][key]
        published = f" (published about {ratio['published']})" if "published" in ratio else ""
        print(f"  {ratio['name']}: {value:.2f}{published}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kvsim")
    parser.add_argument("out")
    parser.add_argument("--only", default="", help="first letters of titles, A,B,...")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--measurements", default="")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name]
    tables = [
        table
        for table in load(os.path.join(HERE, "tables.json"))["tables"]
        if not wanted or any(table["title"].startswith(name) for name in wanted)
    ]
    work = [(table, list(rows_of(table))) for table in tables]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = []
        for number, (_, rows) in enumerate(work):
            futures.append(
                [
                    pool.submit(run, options.kvsim, os.path.join(options.out, f"{number}-{i}"), row)
                    for i, row in enumerate(rows)
                ]
            )
        for (table, rows), running in zip(work, futures):
            for row in rows:
                if "measured" not in row:
                    continue
                value = measured_of(options.measurements, row["name"].split(",")[0], row["measured"])
                if value is not None:
                    row["published"] = {"output_tokens_per_s": value}
            print_table(table, rows, [figures(one.result()) for one in running])


if __name__ == "__main__":
    main()
