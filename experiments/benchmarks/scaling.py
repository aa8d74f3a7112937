"""Times the training steps of one run on several processes and threads of this machine.

    python3 experiments/benchmarks/scaling.py --output experiments/benchmarks/measured/scaling-NAME.json

Runs the built programs with training.shards, by mpirun (or --mpirun FILE), a few seconds each, all processes together on as many
cores as they have threads, and keeps the median of the steps. Penn Treebank must be in the data folder; images are the generated sample's, of the same size.
"""
import argparse
import glob
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ["--set", "data.dataset=sample-cifar10", "--set", "data.validationImages=500"]
# Program, configuration, options, seconds to run.
MODELS = {
    "lstm": ("char-hyperlstm", "table3-lstm", [], 12),
    "ln-hyperlstm": ("char-hyperlstm", "table3-layer-norm-hyperlstm", [], 14),
    "wrn-40-1": ("static-hypernet", "table2-wide-resnet-40-1", SAMPLE, 6),
    "hyper-wrn-40-1": ("static-hypernet", "table2-hyper-wide-resnet-40-1", SAMPLE, 6),
}


def cores():
    """Processors that this process may use, one of each core first."""
    first, second, seen = [], [], set()
    for number in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        core = siblings.read_text().strip() if siblings.exists() else str(number)
        (second if core in seen else first).append(number)
        seen.add(core)
    return first, second


def step_times(folder):
    logs = glob.glob(f"{folder}/*/0/steps.jsonl")
    if not logs:
        return []
    seconds = [json.loads(line)["seconds"] for line in open(logs[0]) if line.endswith("\n")]
    # Without the first two, which pay for the buffers of all later ones.
    return [after - before for before, after in zip(seconds[1:], seconds[2:])]


def end(run):
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGTERM)
        try:
            run.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def measure(model, processes, threads, shards, mpirun, processors):
    program, configuration, options, seconds = MODELS[model]
    with tempfile.TemporaryDirectory() as folder:
        command = ["taskset", "-c", ",".join(map(str, processors[:processes * threads]))]
        if processes > 1:
            command += mpirun + ["-n", str(processes)]
        command += [ROOT / ".build/release" / program, "train", configuration, "--seed", "0", "--threads", str(threads),
                    "--out", folder, "--set", f"training.shards={shards}", "--set", "training.logEvery=1"] + options
        with open(f"{folder}/log", "w") as log:
            run = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            began = None
            try:
                while run.poll() is None and (began is None or time.time() - began < seconds or len(step_times(folder)) < 3):
                    time.sleep(0.2)
                    if began is None and glob.glob(f"{folder}/*/0/steps.jsonl"):
                        began = time.time()
            finally:
                end(run)
        times = step_times(folder)
        if not times:
            print(open(f"{folder}/log").read()[-2000:])
    return {"model": model, "processes": processes, "threads": threads, "shards": shards, "steps": len(times),
            "median": statistics.median(times) if times else None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", required=True, help="a file of JSON")
    parser.add_argument("--mpirun", default="mpirun", help="what starts several processes")
    parser.add_argument("--note", help="what a reader should know of the measurement")
    parser.add_argument("--settings", nargs="+", metavar="P,T,S", help="processes, threads of each, shards")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    # As Ctrl-C does: what it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    first, second = cores()
    processors, most = first + second, len(first)
    powers = [power for power in (1, 2, 4, 8, 16) if power <= most]
    settings = ([tuple(map(int, setting.split(","))) for setting in options.settings] if options.settings else
                [(1, count, 1) for count in powers] + [(1, count, powers[-1]) for count in powers]
                + [(count, 1, powers[-1]) for count in powers[1:]])
    os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_plm_rsh_agent": "false",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none"}
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    result = {"cpu": cpu, "physical": most, "note": options.note, "runs": []}
    for processes, threads, shards in settings:
        for model in options.models:
            run = measure(model, processes, threads, shards, options.mpirun.split(), processors)
            print(run, flush=True)
            result["runs"].append(run)
            if run["median"] is None:
                sys.exit(f"{run['model']}: nothing was measured; {options.output} has what was before")
            partial = Path(f"{options.output}.tmp")
            partial.write_text(json.dumps(result, indent=1) + "\n")
            os.replace(partial, options.output)


if __name__ == "__main__":
    main()
