"""Files of measurements: one JSON object a line, appended as it is measured, readable at every moment."""

import fnmatch
import json
import os
import subprocess
import sys


def read(path):
    """All complete records of a file; none when there is no file yet.

    A line that is not JSON is reported and passed over: it is what a killed program leaves behind.
    """
    if not os.path.exists(path):
        return []
    records = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                print(f"{path}:{number}: not a JSON record, passed over ({error})", file=sys.stderr)
    return records


def append(path, record):
    """Adds a record and waits until it is on the disk."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a+b") as file:
        # A torn last line must not swallow the new record.
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def measure(script, cases, arguments):
    """Runs the cases that are asked for, each by `script --worker CASE` in a process of its own, and appends what it says.

    The last part of a case's name is its number of threads.
    """
    for case in cases:
        if arguments.only and not any(fnmatch.fnmatch(case, pattern) for pattern in arguments.only):
            continue
        threads = case.rsplit("/", 1)[1]
        # OpenMP and MKL read these once, when they are loaded.
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [sys.executable, os.path.abspath(script), *sys.argv[1:], "--worker", case]
        output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
        record = json.loads(output.splitlines()[-1])
        append(arguments.out, record)
        median = record.get("milliseconds_median") or 1000 * record["seconds_median"]
        print(f"{case}: {median:.2f} ms, peak {record['peak_megabytes']:.0f} MB", flush=True)
