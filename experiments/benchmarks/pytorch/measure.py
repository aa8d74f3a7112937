"""What the peers share: the command line they have in common, and the one JSON line that they print."""
import argparse
import getpass
import json
import os
import resource
import statistics
import tempfile
import time

import torch


def arguments(description, subject, choices, modes, steps):
    """The parser of `program SUBJECT [MODE] [THREADS] [STEPS]`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(subject, choices=choices, type=type(choices[0]))
    parser.add_argument("mode", nargs="?", default=modes[0], choices=modes)
    parser.add_argument("threads", nargs="?", default=2, type=int)
    parser.add_argument("steps", nargs="?", default=steps, type=int, help="timed steps, after two that are not timed")
    return parser


def compiled(model):
    """`torch.compile` with a cache of its own for each number of threads and instruction set.

    The compiler keeps its code on the disk and finds it again by the model alone. Code made for one thread has buffers for
    one, so that a later process with two writes past their ends, and the heap is corrupted.
    """
    kind = f"{torch.get_num_threads()}-threads-{os.environ.get('ATEN_CPU_CAPABILITY', 'native')}"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{tempfile.gettempdir()}/torchinductor-{getpass.getuser()}-{kind}"
    return torch.compile(model)


def training_step(optimizer, loss_of_batch, clip=None):
    """One whole step as a function: gradients to zero, loss, backward, clipping by global norm, update."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def step():
        optimizer.zero_grad()
        loss = loss_of_batch()
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        return loss.item()

    return step


def seconds_per_step(step, steps):
    """Seconds of each of `steps` steps in rising order, after two for warming up and compiling."""
    step(), step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)


def report(name, mode, model, **measured):
    """Prints the JSON line; the peak is the resident memory of this process in MiB (Linux counts it in KiB)."""
    print(json.dumps({
        "step": name, "mode": mode, "threads": torch.get_num_threads(), "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **{key: round(value, 4) if isinstance(value, float) else value for key, value in measured.items()},
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


def report_steps(name, mode, model, step, steps, **about):
    """Times the steps and prints their median and minimum, with what else there is to say about them."""
    seconds = seconds_per_step(step, steps)
    report(name, mode, model, median_s=statistics.median(seconds), min_s=seconds[0], **about)
