"""Reading shards by Python's tarfile, and by pyarrow where it is at hand: rivals of `src/bench/shard_reading.ts`.

    python3 tar_data.py TAR PLAIN.parquet SNAPPY.parquet --seconds 5

Each prints a line of JSON with the seconds of every round but the first.
"""

import argparse
import json
import sys
import tarfile
import time


def race(by, stage, seconds, run):
    rounds = []
    start = time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        rounds.append(time.perf_counter() - before)
    print(json.dumps({"by": by, "stage": stage, "seconds": rounds[1:]}), flush=True)


def read_tar(path):
    # "r|": a stream, as WebDataset reads shards
    with tarfile.open(path, "r|", bufsize=2**20) as archive:
        for entry in archive:
            if entry.isfile():
                archive.extractfile(entry).read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tar")
    parser.add_argument("plain")
    parser.add_argument("snappy")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    version = ".".join(str(part) for part in sys.version_info[:3])
    race(f"tarfile, Python {version}", "tar", options.seconds, lambda: read_tar(options.tar))
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        print(json.dumps({"note": "pyarrow is not there"}))
        return

    def read_parquet(path):
        shard = pyarrow.parquet.ParquetFile(path)
        for group in range(shard.num_row_groups):
            for image in shard.read_row_group(group, columns=["image"], use_threads=False)["image"]:
                image.as_buffer()

    for path, stage in ((options.plain, "parquet plain"), (options.snappy, "parquet snappy")):
        race(f"pyarrow {pyarrow.__version__}", stage, options.seconds, lambda: read_parquet(path))


main()
