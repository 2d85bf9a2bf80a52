"""Whole steps in eager PyTorch: the rival that `mae bench --peers` runs beside ours.

The models follow the paper (He et al. 2021) and do exactly the work of ours. Pre-training: random masking, encoder on the
kept patches, decoder on all, loss on normalised pixels of the masked patches, AdamW with two parameter groups.
Fine-tuning: bytes normalised, erased and mixed, the encoder on whole images with drop path, averaged, a head, soft labels,
AdamW with a learning rate per layer. Features: bytes normalised, the encoder on whole images, the class token.

    python3 pytorch_mae.py '{"name": "tiny", "image": 32, "patch": 4, "channels": 3, "encoder": [192, 6, 3],
        "decoder": [96, 2, 3], "batch": 64, "ratio": 0.75, "classes": 1000, "dropPath": 0.1}'
        --work pretrain --precision fp32 --seconds 5

One line of JSON per configuration and precision: images per second, milliseconds per step, peak bytes, and whether
this is only a first step, because steps take too long.
"""

import argparse
import json
import math
import random
import resource
import time

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, width, heads, drop_path=0.0):
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.dropped(self.attention(self.norm1(x)))
        return x + self.dropped(self.mlp(self.norm2(x)))

    def dropped(self, branch):
        """Leaves out the branch of some images, and makes up for it in the others."""
        if self.drop_path == 0 or not self.training:
            return branch
        kept = 1 - self.drop_path
        return branch * (torch.rand(len(branch), 1, 1, device=branch.device) < kept).to(branch.dtype).div_(kept)


def patchify(images, p):
    n, c, h, w = images.shape
    return images.view(n, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, p * p * c)


class Mae(nn.Module):
    def __init__(self, image, patch, channels, encoder, decoder, ratio):
        super().__init__()
        self.patch = patch
        self.length = (image // patch) ** 2
        self.kept = int(self.length * (1 - ratio))
        values = patch * patch * channels
        width, depth, heads = encoder
        decoder_width, decoder_depth, decoder_heads = decoder
        self.embed = nn.Linear(values, width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.mask_token = nn.Parameter(torch.randn(1, 1, decoder_width) * 0.02)
        self.register_buffer("positions", torch.randn(1, self.length + 1, width) * 0.02)
        self.register_buffer("decoder_positions", torch.randn(1, self.length + 1, decoder_width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_embed = nn.Linear(width, decoder_width)
        self.decoder_blocks = nn.Sequential(*[Block(decoder_width, decoder_heads) for _ in range(decoder_depth)])
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=1e-6)
        self.predict = nn.Linear(decoder_width, values)

    def forward(self, images):
        patches = patchify(images, self.patch)
        n, length, values = patches.shape
        kept = self.kept
        shuffle = torch.rand(n, length, device=images.device).argsort(1)
        restore = shuffle.argsort(1)
        keep = shuffle[:, :kept]
        take = lambda x, ids: x.gather(1, ids.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        tokens = self.embed(take(patches, keep)) + take(self.positions[:, 1:].expand(n, -1, -1), keep)
        first = (self.class_token + self.positions[:, :1]).expand(n, -1, -1)
        latent = self.norm(self.blocks(torch.cat([first, tokens], 1)))
        y = self.decoder_embed(latent)
        removed = self.mask_token.to(y.dtype).expand(n, length - kept, -1)
        body = take(torch.cat([y[:, 1:], removed], 1), restore)
        y = torch.cat([y[:, :1], body], 1) + self.decoder_positions
        prediction = self.predict(self.decoder_norm(self.decoder_blocks(y)))[:, 1:]
        target = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
        mask = (restore >= kept).float()
        error = (prediction.float() - target).square().mean(-1)
        return (error * mask).sum() / mask.sum()


class Classifier(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.patch = shape["patch"]
        width, depth, heads = shape["encoder"]
        length = (shape["image"] // self.patch) ** 2
        self.embed = nn.Linear(self.patch ** 2 * shape["channels"], width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, length + 1, width) * 0.02)
        rates = [shape["dropPath"] * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.Sequential(*[Block(width, heads, rate) for rate in rates])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, shape["classes"])

    def tokens(self, images):
        patches = self.embed(patchify(images, self.patch))
        first = self.class_token.to(patches.dtype).expand(len(patches), -1, -1)
        return self.blocks(torch.cat([first, patches], 1) + self.positions)

    def features(self, images):
        return self.norm(self.tokens(images)[:, 0])

    def forward(self, images):
        return self.head(self.norm(self.tokens(images)[:, 1:].mean(1)))


def layer_groups(model, decay=0.65):
    """Learning rates that fall from the head towards the patches; vectors, class token and positions do not decay."""
    depth = len(model.blocks)
    groups = {}
    for name, parameter in model.named_parameters():
        first = name in ("class_token", "positions") or name.startswith("embed")
        layer = 0 if first else int(name.split(".")[1]) + 1 if name.startswith("blocks.") else depth + 1
        kept = parameter.ndim <= 1 or name in ("class_token", "positions")
        group = groups.setdefault((layer, kept), {
            "params": [], "lr": 1e-4 * decay ** (depth + 1 - layer), "weight_decay": 0.0 if kept else 0.05})
        group["params"].append(parameter)
    return list(groups.values())


def normalized(pixels, mean=0.5, deviation=0.25):
    """Bytes as the model takes them."""
    return pixels.float().div_(255).sub_(mean).div_(deviation)


def erase(images):
    """A quarter of the images lose a rectangle of 2 to 33 % of their area to noise."""
    n, c, h, w = images.shape
    for image in images:
        if random.random() >= 0.25:
            continue
        area, aspect = random.uniform(0.02, 1 / 3) * h * w, math.exp(random.uniform(math.log(0.3), -math.log(0.3)))
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if rows < h and columns < w:
            top, left = random.randint(0, h - rows), random.randint(0, w - columns)
            image[:, top:top + rows, left:left + columns].normal_()


def mix(images, labels):
    """Mixup or CutMix with the mirrored batch, half of the time each."""
    n, c, h, w = images.shape
    if random.random() < 0.5:
        share = random.betavariate(1, 1)
        rows, columns = (int(side * math.sqrt(1 - share)) // 2 for side in (h, w))
        y, x = random.randrange(h), random.randrange(w)
        top, bottom, left, right = max(0, y - rows), min(h, y + rows), max(0, x - columns), min(w, x + columns)
        images[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (h * w)
    else:
        share = random.betavariate(0.8, 0.8)
        images = images * share + images.flip(0) * (1 - share)
    return images, labels * share + labels.flip(0) * (1 - share)


def pretraining(shape, device, autocast):
    """The model's step, and nothing else: its images are there."""
    channels = shape["channels"]
    model = Mae(shape["image"], shape["patch"], channels, shape["encoder"], shape["decoder"], shape["ratio"]).to(device)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95))
    images = torch.randn(shape["batch"], channels, shape["image"], shape["image"], device=device)

    def step():
        with autocast():
            loss = model(images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def finetuning(shape, device, autocast):
    """From bytes in main memory to new weights."""
    model = Classifier(shape).to(device).train()
    optimizer = torch.optim.AdamW(layer_groups(model), betas=(0.9, 0.999))
    batch, classes, smoothing = shape["batch"], shape["classes"], 0.1
    pixels = torch.randint(0, 256, (batch, shape["channels"], shape["image"], shape["image"]), dtype=torch.uint8)

    def step():
        images = normalized(pixels.to(device))
        erase(images)
        own = torch.randint(0, classes, (batch,), device=device)
        labels = functional.one_hot(own, classes).float() * (1 - smoothing) + smoothing / classes
        images, labels = mix(images, labels)
        with autocast():
            loss = functional.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def features(shape, device, autocast):
    """From bytes in main memory to a vector per image."""
    model = Classifier(shape).to(device).eval()
    size = (shape["batch"], shape["channels"], shape["image"], shape["image"])
    pixels = torch.randint(0, 256, size, dtype=torch.uint8)

    def step():
        with torch.inference_mode(), autocast():
            model.features(normalized(pixels.to(device)))

    return step


works = {"pretrain": pretraining, "finetune": finetuning, "features": features}


def measure(shape, work, precision, device, seconds):
    torch.manual_seed(0)
    random.seed(0)
    tf32 = precision == "tf32"  # off else, or fp32 would not be what it says
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    step = works[work](shape, device, lambda: torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def timed():
        before = time.perf_counter()
        step()
        wait()
        return time.perf_counter() - before

    times = [timed()]
    first = times[0] > 3 * seconds  # bf16 without instructions for it: more steps would tell no more
    if not first:  # the first step sets things up
        if times.pop() < seconds:
            timed()
        start = time.perf_counter()
        while time.perf_counter() - start < seconds or len(times) < 2 or len(times) < 3 and max(times) < seconds:
            times.append(timed())
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else \
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    median = sorted(times)[len(times) // 2]
    return {"name": shape["name"], "peer": "pytorch", "version": torch.__version__, "work": work,
            "device": device, "precision": precision, "batch": shape["batch"],
            "imagesPerSecond": shape["batch"] / median, "millisecondsPerStep": 1000 * median, "peakBytes": peak, "first": first}


def gemm_rate(m, k, n, device, seconds):
    """GFLOP/s of x·Wᵀ in float32: what the products of a linear layer reach."""
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = torch.randn(m, k, device=device), torch.randn(n, k, device=device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    a @ b.t()
    wait()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b.t()
        wait()
        count += 1
    return 2 * m * k * n * count / (time.perf_counter() - start) / 1e9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="*", help="configurations as JSON")
    parser.add_argument("--work", choices=list(works), default="pretrain")
    parser.add_argument("--precision", default="auto",
                        help="fp32, tf32 or bf16, or several with commas; auto is fp32 and bf16, and tf32 on CUDA")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--gemm", action="append", default=[], help="m,k,n of a product to time as well")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    for product in options.gemm:
        m, k, n = map(int, product.split(","))
        rate = gemm_rate(m, k, n, options.device, options.seconds)
        print(json.dumps({"sizes": f"{m} x {k} x {n}", "peer": "pytorch", "gflops": rate}), flush=True)
    precisions = options.precision.split(",")
    if options.precision == "auto":
        precisions = ["fp32", "tf32", "bf16"] if options.device == "cuda" else ["fp32", "bf16"]
    for shape in options.shapes:
        for precision in precisions:
            result = measure(json.loads(shape), options.work, precision, options.device, options.seconds)
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
