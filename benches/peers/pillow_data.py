"""Decoding, cropping and resizing by Pillow in one thread: the rival of `src/bench/image_stages.ts`.

    python3 pillow_data.py FOLDER --size 224 --seconds 5

FOLDER holds JPEG files and boxes.json, a crop of each in the files' order as [left, top, right, bottom]. One line of
JSON: for each stage the median and the largest rate over rounds through all files (images per second), versions, and
the SHA-256 of all crops one behind the other.

Pillow comes with `pip install pillow` or Debian's python3-pil; MAE_PILLOW may name the folder that it lies in.
"""

import argparse
import hashlib
import io
import json
import os
import statistics
import sys
import time

if "MAE_PILLOW" in os.environ:
    sys.path.insert(0, os.environ["MAE_PILLOW"])
try:
    from PIL import Image, __version__, features
except ImportError:
    sys.exit("error: Pillow is not there")


def rates(run, count, seconds):
    found = []
    start = time.perf_counter()
    while len(found) < 4 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        for i in range(count):
            run(i)
        found.append(count / (time.perf_counter() - before))
    return [statistics.median(found[1:]), max(found[1:])]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    names = sorted(name for name in os.listdir(args.folder) if name.endswith(".jpg"))
    files = [open(os.path.join(args.folder, name), "rb").read() for name in names]
    boxes = json.load(open(os.path.join(args.folder, "boxes.json")))

    def decode(i):
        return Image.open(io.BytesIO(files[i])).convert("RGB")

    def resize(image, i):
        return image.crop(boxes[i]).resize((args.size, args.size), Image.BICUBIC)

    decoded = [decode(i) for i in range(len(files))]
    digest = hashlib.sha256(b"".join(resize(image, i).tobytes() for i, image in enumerate(decoded)))
    print(json.dumps({
        "decode": rates(decode, len(files), args.seconds),
        "crop": rates(lambda i: resize(decode(i), i), len(files), args.seconds),
        "resize": rates(lambda i: resize(decoded[i], i), len(files), args.seconds),
        "version": f"Pillow {__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}",
        "crops": digest.hexdigest(),
    }))


main()
