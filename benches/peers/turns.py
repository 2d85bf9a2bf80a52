"""Steps of ours and of PyTorch by turns, so that a host that is busy for a while meets both.

usage: turns.py CONFIGURATION [--work pretrain|finetune|features] [--rounds N] [--deno PROGRAM]

CONFIGURATION is one of `mae bench` (tiny, mini, vit_base, …) or a YAML file.

Before each measured turn of some two seconds (one step at least) comes a step that does not count: what the other program
left in the caches, and its threads that still spin, cost the first one. Prints the median of the rounds' ratios.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import time

import torch

import pytorch_mae


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--work", choices=list(pytorch_mae.works), default="pretrain")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--deno", default="deno")
    options = parser.parse_args()
    program = shutil.which(options.deno)
    if program is None:
        parser.error(f"there is no program {options.deno}; say where Deno is with --deno")
    here = os.path.dirname(os.path.abspath(__file__))
    command = [program, "run", "-A", os.path.join(here, "turns.ts"), options.name, options.work]
    ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    answer = ours.stdout.readline()
    if not answer:
        raise SystemExit(ours.wait() or 1)  # why stands on standard error

    torch.manual_seed(0)
    shape = json.loads(answer)
    precision = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=False)
    step = pytorch_mae.works[options.work](shape, "cpu", precision)
    step()

    def turn_of_ours(steps):
        ours.stdin.write(f"{steps}\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    def turn_of_torch(steps):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - start) * 1000 / steps

    turns = {"ours": turn_of_ours, "PyTorch": turn_of_torch}
    steps = {name: max(1, round(2000 / turn(1))) for name, turn in turns.items()}
    times = {name: [] for name in turns}
    for _ in range(options.rounds):
        for name, turn in turns.items():
            time.sleep(0.15)
            turn(1)
            times[name].append(turn(steps[name]))
    ours.kill()
    ratios = sorted(theirs / own for own, theirs in zip(times["ours"], times["PyTorch"]))
    print(json.dumps({
        "configuration": options.name, "work": options.work, "rounds": options.rounds,
        "imagesPerSecond": {name: round(shape["batch"] * 1000 / statistics.median(all), 3) for name, all in times.items()},
        "ratio": round(statistics.median(ratios), 3), "lowest": round(ratios[0], 3), "highest": round(ratios[-1], 3),
    }))


if __name__ == "__main__":
    main()
