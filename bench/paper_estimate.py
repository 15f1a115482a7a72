"""What a decode step and an encoder pass should cost on one H200, by paper: no GPU is asked, nothing is measured here.

python3 bench/paper_estimate.py step --rows 512 --beam 4    one decode step, kernel by kernel
python3 bench/paper_estimate.py encoder --sentences 136     one encoder pass with its source keys and values
python3 bench/paper_estimate.py sum                         tokens a second and microseconds a step, beside the goals
python3 bench/paper_estimate.py fusions                     what fewer launches would save in the step of one sentence
python3 bench/paper_estimate.py int8                        products of a step in int8, with and without known maxima of rows
python3 bench/paper_estimate.py check docs/performance.md   whether the page has the tables that this program prints

The shape is base: 6+6 layers, E 512, F 2048, 8 heads, V 32000, post-norm, bf16; sources of 30 tokens, target position
30 (31 keys). docs/performance.md says in words how each figure is found. Tiles are chosen as kernels/gemm_tiles.h does.
"""
import argparse
import re
import shlex
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

LAYERS, E, F, H, V = 6, 512, 2048, 8, 32000
SOURCE, POSITION, TARGET = 30, 30, 30       # TARGET: tokens of a translation, over which its encoder pass is spread
KEYS = POSITION + 1
PAGE = 16                                   # key rows of a page; cross-attention reads whole pages
INT8, BF16, F32 = 1, 2, 4                   # bytes

# Measured on one H200: an 8192^3 bf16 product, a device copy. FLOP/s and bytes/s.
TENSOR, MEMORY = 788e12, 4.3e12
# Of NVIDIA's data sheet: f32 units; multiprocessors; clock at which 132 of them give its 989 TFLOP/s.
F32_UNITS, SMS, CLOCK = 67e12, 132, 1.83e9
SHARED = 227 * 1024                         # bytes of shared memory that one block may have
# Assumed, until a GPU says better.
COPY_SHARE = 0.85                           # of the copy's bandwidth that a kernel reaches: the aim for attention
NODE = 1.0                                  # us from one kernel of a recording to the next that waits for it
READ = 0.3                                  # us of a read that the next one waits for: between L2 and memory
VISIT = 400                                 # clocks of a warp for one row of a panel of logits: its chain of shuffles
JOIN = 28                                   # instructions for each value that a warp puts into a list of best values
VOTE = 8                                    # and for each of the greatest values of lanes that a full panel is cut at
SCHEDULERS = 4                              # of a multiprocessor, one instruction a clock each
BUS, COPY = 50e9, 2.0                       # bytes/s of PCI Express; us of a copy of nothing
WRITERS = {1: 1.0, 4: 1.5}                  # beams that wrote one position of the paths that live, by beam width

# kernels/gemm_tiles.h and the table of gemm_mma.cuh: rows, columns, most groups, latency, work.
CHUNK, STEP, FIXED, RESIDENT, STAGES = 256, 64, 1500, 8, 3
SLAB = STEP * BF16                          # bytes of a row of a slab; of int8 twice the inputs
TILES = ((16, 32, 8, 400, 192), (64, 32, 4, 450, 384), (64, 64, 1, 450, 512), (128, 128, 1, 1100, 1100))
# int8: a kernel before and what it turns in a clock; gemm_int8_few.cu, gemm_int8_round.cu.
LAUNCH, QUANTISED, FEW_READS, FEW_WORK, MOST_K = 4000, 12, (1500, 1000), (362, 256), 4096
ROUND, ROUND_OPEN, LANES, MULTIPLY, MOVED = 5, 300, 128, 2048, 32
INT8_ROWS = (1, 4, 16, 64, 128, 256, 512, 1024, 4096)
# kernels/logit_work.cu
PANEL, WALK_BLOCKS, MERGE_THREADS, PLAN_ROWS, WARP = 128, 264, 256, 256, 32
KEPT_BYTES = (139 << 30) // 256             # a share of the device's memory
RATES = ((1, 1), (64, 1), (512, 1), (1024, 1), (4096, 1), (4, 4), (64, 4), (512, 4), (1024, 4),
         (4096, 4))                         # rows, beam of `sum`
PASS_TOKENS = 4096                          # --batch-tokens of an encoder pass
GOALS = {(4096, 1): 1e6, (4096, 4): 4e5}    # target tokens a second
GOAL_STEP = 250                             # us of a step for one sentence


@dataclass
class Kernel:
    """One line of a table: all launches of a kernel in a step, or in a pass."""
    name: str
    launches: int
    data: float             # bytes of one launch
    flops: float            # of one launch
    rate: float             # FLOP/s of the units that it may use
    expected: float         # us of one launch

    @property
    def floor(self):
        return max(self.data / MEMORY, self.flops / self.rate) * 1e6


class Tile(NamedTuple):
    """hdl_gemm_tile."""
    rows: int
    columns: int
    groups: int
    latency: int
    work: int
    group_bytes: int
    block_bytes: int
    prologue: int = 0
    step: int = STEP
    chunk: int = CHUNK


def tile_of(rows, columns, groups, latency, work, **more):
    """describe() of gemm_mma.cuh."""
    return Tile(rows, columns, groups, latency, work, STAGES * (rows + columns) * SLAB + rows * columns * F32,
                rows * (columns + 4) * F32, **more)


def gemm_cost(tile, groups, M, N, K):
    """hdl_gemm_cost: clocks."""
    chunks, slabs = ceil(K / tile.chunk), ceil(K / tile.step)
    steps = min(ceil(chunks / groups) * (tile.chunk // tile.step), slabs)
    blocks = ceil(ceil(M / tile.rows) * ceil(N / tile.columns) / SMS)
    resident = min(SHARED // gemm_bytes(tile, groups), RESIDENT)
    wait = ceil(blocks / resident) * (FIXED + tile.prologue + steps * tile.latency)
    busy = blocks * slabs * tile.work + FIXED
    return wait + busy // 16 if wait > busy else busy + wait // 16


def gemm_bytes(tile, groups):
    """hdl_gemm_bytes: shared memory of a block."""
    return groups * tile.group_bytes + tile.block_bytes


def gemm_clocks(tiles, M, N, K):
    """hdl_gemm_choose: clocks of the cheapest tile."""
    costs = []
    for tile in tiles:
        groups = 1
        while groups <= tile.groups and gemm_bytes(tile, groups) <= SHARED:
            if groups == 1 or groups // 2 < ceil(K / tile.chunk):   # else too few chunks
                costs.append(gemm_cost(tile, groups, M, N, K))
            groups *= 2
    return min(costs)


def round_tile(rows, columns, groups, latency, _):
    """describe() of gemm_int8_round.cu: 64 inputs of a thread and slab, 128 of the tile that is 64 x 32."""
    warps = rows // (64 if rows >= 128 else min(rows, 32)) * columns // 32
    own = rows * SLAB // (warps * WARP)
    busy = rows * columns * SLAB // MULTIPLY + rows * SLAB * ROUND // LANES
    tile = tile_of(rows, columns, groups, latency + own * ROUND * ceil(warps / SCHEDULERS),
                   max(busy, (2 * rows + columns) * SLAB // MOVED), prologue=ROUND_OPEN, step=SLAB, chunk=SLAB)
    exchange = rows * columns * F32 if groups == 1 else 0
    return tile._replace(group_bytes=tile.group_bytes - exchange, block_bytes=tile.block_bytes + 16 * rows)


def int8_product(M, N, K, known):
    """gemm_int8_way: launches and clocks. known: the rows' greatest magnitudes are."""
    ways = [(LAUNCH + ceil(M * K / (SMS * QUANTISED)) +
             gemm_clocks([tile_of(*tile, step=SLAB, chunk=SLAB) for tile in TILES], M, N, K), 2)]
    if K <= MOST_K:
        few = Tile(16, 32, 8, 400, FEW_WORK[known], STAGES * 32 * SLAB + 16 * 32 * F32,
                   16 * (32 + 4) * F32 + ceil(K / SLAB) * 16 * SLAB + 16 * F32, FEW_READS[known], SLAB, SLAB)
        ways.append((gemm_clocks([few], M, N, K), 1))
    if known:
        ways.append((gemm_clocks([round_tile(*tile) for tile in TILES], M, N, K), 1))
    clocks, launches = min(ways)
    return launches, clocks


def traffic(data):
    return data / (COPY_SHARE * MEMORY) * 1e6


def product(name, launches, M, N, K):
    data = BF16 * (N * K + M * K + M * N) + F32 * N
    tiles = [tile_of(*tile) for tile in TILES]
    time = NODE + max(gemm_clocks(tiles, M, N, K) / CLOCK * 1e6, traffic(data))
    return Kernel(name, launches, data, 2 * M * N * K, TENSOR, time)


def row_kernel(name, launches, blocks, resident, chain, data, flops=0, rate=F32_UNITS):
    """The first blocks pay their chain of reads; then the longer of all traffic and the other blocks' chains."""
    waves = ceil(blocks / (SMS * resident))
    time = NODE + chain * READ + max(traffic(data), (waves - 1) * chain * READ, flops / rate * 1e6)
    return Kernel(name, launches, data, flops, rate, time)


def norm(launches, M):
    return row_kernel("norm", launches, ceil(M / 4), 16, 3, BF16 * 3 * M * E + F32 * 2 * E)


def embed(M, chain):
    return row_kernel("embed", 1, M, 8, chain, M * E * (BF16 + F32 + BF16))


def walk_tile(rows):
    """Rows and warps of the tile that walks the logits, clocks of a slab by gemm_mma.cuh's rule for work."""
    tile = 16 if rows <= 16 else 64 if rows <= 64 else 128
    warps = 4 if tile == 16 else 8
    return tile, warps, max(tile * PANEL * STEP / 1024, (tile + PANEL) * STEP * BF16 / 32, 400)


def first_panel(best):
    """Instructions of a warp for the first panel of a list. At the best-th greatest of the lanes' greatest values, four a
    lane, the panel is cut: so many of 128 random values are not below it."""
    if best > WARP:
        return PANEL * JOIN
    return best * VOTE + PANEL * (1 - (1 - best / (WARP + 1)) ** (WARP / PANEL)) * JOIN


def logit_kernels(rows, beam):
    best, panels = 2 * beam, ceil(V / PANEL)
    tile, warps, slab = walk_tile(rows)
    tiles = ceil(rows / tile)
    splits = min(max(WALK_BLOCKS // tiles, 1), panels)
    blocks = ceil(tiles * splits / SMS)                     # of one multiprocessor
    own = ceil(min(rows, tile) / warps)                     # rows of a warp
    each = ceil(panels / splits)                            # panels of a block
    fill = own * first_panel(best) * ceil(min(rows, warps) / SCHEDULERS)
    clocks = FIXED + blocks * (each * (E / STEP * slab + own * VISIT) + fill)
    lists = rows * splits * best * (F32 + F32)
    data = BF16 * (V * E + rows * E) + F32 * V + rows * panels * 8 + lists
    walk = Kernel("logit_reduce: walk", 1, data, 2 * rows * V * E, TENSOR,
                  NODE + 2 * READ + max(clocks / CLOCK * 1e6, traffic(data)))
    plan = row_kernel("logit_reduce: plan", 1, ceil(rows / PLAN_ROWS), 8, 4, rows * (128 + 32 + 48))
    merge = row_kernel("logit_reduce: merge", 1, rows, 2048 // MERGE_THREADS, 7,
                       rows * (panels * 8 + best * 8) + lists)
    kept = min(rows, KEPT_BYTES // (V * F32))
    spare = ceil(rows / kept) - 1
    found = [plan, walk, merge]
    if spare > 0:
        found.append(Kernel("logit_reduce: spare rounds", 2 * spare, rows * 48, 0, F32_UNITS, NODE + 2 * READ))
    return found


def step_kernels(rows, beam):
    """One decode step: transformer.c, hdl__decode; lane_step.c, queue_step and what stands around the recording."""
    slots = ceil(rows / beam)
    rows_io = BF16 * 2 * rows * E                           # queries in, output out
    own_keys = BF16 * 2 * E * KEYS * slots * WRITERS[beam]
    source_keys = BF16 * 2 * E * ceil(SOURCE / PAGE) * PAGE * slots
    spread_self, spread_cross = rows * H <= SMS * 4, rows * H <= SMS * 8
    inputs = 128 + 4 * F32 * rows                           # row list; slots' changes are a few hundred words
    around = 2 * COPY + (inputs + 32 * slots) / BUS * 1e6 + NODE + READ
    return [
        embed(rows, 4),
        product("gemm 3E x E (q, k, v)", LAYERS, rows, 3 * E, E),
        row_kernel("cache_append", LAYERS, rows, 16, 6, BF16 * 4 * rows * E),
        row_kernel("attention, self pages", LAYERS, (rows if spread_self else ceil(rows / 4)) * H, 4,
                   6 if beam == 1 else 7, own_keys + rows_io, 4 * rows * KEYS * E),
        product("gemm E x E (outputs, cross q)", 3 * LAYERS, rows, E, E),
        row_kernel("attention, source pages", LAYERS, slots * (H if spread_cross else H // 4), 3, 6,
                   source_keys + rows_io, 4 * rows * SOURCE * E, TENSOR),
        product("gemm F x E", LAYERS, rows, F, E),
        product("gemm E x F", LAYERS, rows, E, F),
        norm(3 * LAYERS, rows),
        row_kernel("logit_edits", 1, ceil(rows / 4), 8, 5, rows * 32),
        *logit_kernels(rows, beam),
        row_kernel("beam_step", 1, slots, 4, 10, slots * (128 + 64) + rows * (2 * beam * 8 + 2 * KEYS)),
        Kernel("copies and scatter_words around it", 1, 0, 0, F32_UNITS, around)]


def encoder_kernels(sentences):
    """One encoder pass: transformer.c, hdl__encode and hdl__write_source."""
    M = sentences * SOURCE
    blocks = (M // 32 + sentences) * H
    return [
        embed(M, 2),
        product("gemm 3E x E (q, k, v)", LAYERS, M, 3 * E, E),
        row_kernel("attention, packed", LAYERS, blocks, 11, 6, BF16 * 4 * M * E, 4 * M * SOURCE * E, TENSOR),
        product("gemm E x E (outputs)", LAYERS, M, E, E),
        product("gemm F x E", LAYERS, M, F, E),
        product("gemm E x F", LAYERS, M, E, F),
        norm(2 * LAYERS, M),
        product("gemm 2E x E (cross k, v)", LAYERS, M, 2 * E, E),
        row_kernel("cache_append", LAYERS, M, 16, 6, BF16 * 4 * M * E)]


def print_fusions():
    """One row, greedy. Gains: launches that go, less the reads that the kernel which takes their work over does more."""
    step = {k.name: k for k in step_kernels(1, 1)}
    whole = time_of(step.values())
    narrow = gemm_cost(tile_of(16, 8, 8, 400, (16 + 8) * SLAB // 32), 8, 1, E, F)
    wide = step["gemm E x F"]
    append, plan, norms = step["cache_append"], step["logit_reduce: plan"], step["norm"]
    launches = sum(k.launches for k in step.values()) - 1           # without the line of copies
    found = [
        ("cache_append in attention over self pages: a block writes the key and value of its rows, then reads pages",
         append.launches, append.launches * (append.expected - 2 * READ)),
        ("norm in the product before it: the last block of a row tile, by a counter, norms its rows",
         norms.launches, norms.launches * (norms.expected - 3 * READ)),
        ("the plan in walk and merge: each reads the options of its rows itself", 1, plan.expected - 4 * READ),
        ("a tile of 16 x 8 for E x F: 64 multiprocessors instead of 16 read its weights", 0,
         wide.launches * (wide.expected - NODE - narrow / CLOCK * 1e6)),
        ("each kernel begins while the one before it ends (programmatic dependent launch), at half the distance", 0,
         launches * NODE / 2)]
    lines = ["| change | launches saved | us saved | of the step |", "| --- | --- | --- | --- |"]
    lines += [f"| {what} | {saved} | {figure(gain)} | {100 * gain / whole:.0f} % |" for what, saved, gain in found]
    return lines


def print_int8():
    """All products of a step but that of the logits; rows of bf16, which are rounded before each product or inside it."""
    lines = ["| rows | launches | us | launches, maxima known | us |", "| --- | --- | --- | --- | --- |"]
    for rows in INT8_ROWS:
        cells = []
        for known in (False, True):
            launches = time = 0
            for number, N, K in ((1, 3 * E, E), (3, E, E), (1, F, E), (1, E, F)):
                kernels, clocks = int8_product(rows, N, K, known)
                data = INT8 * N * K + BF16 * rows * (N + K) + (2 * INT8 * rows * K if kernels == 2 else 0) + 2 * F32 * N
                launches += LAYERS * number * kernels
                time += LAYERS * number * (NODE + max(clocks / CLOCK * 1e6, traffic(data)))
            cells += [str(launches), figure(time)]
        lines.append(f"| {rows} | " + " | ".join(cells) + " |")
    return lines


def floor_of(kernels):
    return sum(k.launches * k.floor for k in kernels)


def time_of(kernels):
    return sum(k.launches * k.expected for k in kernels)


def figure(x):
    """Three digits."""
    return f"{x:,.0f}" if x >= 99.95 else f"{x:.1f}" if x >= 9.995 else f"{x:.2f}" if x > 0 else "0"


def print_kernels(kernels):
    lines = ["| kernel | launches | MB | GFLOP | floor, us | expected, us |", "| --- | --- | --- | --- | --- | --- |"]
    for k in kernels:
        sums = (k.launches * k.data / 1e6, k.launches * k.flops / 1e9, k.launches * k.floor, k.launches * k.expected)
        lines.append(f"| {k.name} | {k.launches} | " + " | ".join(figure(x) for x in sums) + " |")
    sums = (sum(k.launches * k.data for k in kernels) / 1e6, sum(k.launches * k.flops for k in kernels) / 1e9,
            floor_of(kernels), time_of(kernels))
    lines.append(f"| sum | {sum(k.launches for k in kernels)} | " + " | ".join(figure(x) for x in sums) + " |")
    return lines


def print_sum():
    heads = ("rows", "beam", "sentences", "step, floor us", "step, us", "encoder's share, us", "tokens/s, floor",
             "tokens/s", "goal")
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for rows, beam in RATES:
        slots = rows // beam
        batch = min(slots, PASS_TOKENS // SOURCE)
        encoder = encoder_kernels(batch)
        step, passes = step_kernels(rows, beam), slots / batch / TARGET     # encoder passes for each step
        rates = (slots / (floor_of(step) + passes * floor_of(encoder)) * 1e6,
                 slots / (time_of(step) + passes * time_of(encoder)) * 1e6)
        goal = f"{GOALS[rows, beam]:,.0f} tokens/s" if (rows, beam) in GOALS else ""
        if slots == 1:
            goal = f"{GOAL_STEP} us a step"
        lines.append(f"| {rows} | {beam} | {slots} | {figure(floor_of(step))} | {figure(time_of(step))} | "
                     f"{figure(passes * time_of(encoder))} | {rates[0]:,.0f} | {rates[1]:,.0f} | {goal} |")
    return lines


def check_page(path):
    """A line that ends in `python3 bench/paper_estimate.py ...`: stands before a table; are they the same?"""
    text = Path(path).read_text(encoding="utf-8").split("\n")
    found = wrong = 0
    for i, line in enumerate(text):
        match = re.search(r"`python3 bench/paper_estimate\.py ([^`]+)`:$", line)
        if match is None:
            continue
        found += 1
        expected = table_of(parse(shlex.split(match.group(1))))
        if text[i + 2:i + 2 + len(expected)] != expected:
            wrong += 1
            print(f"{path}:{i + 1}: the table is not what `{match.group(1)}` prints")
    print(f"{found - wrong} passed, {wrong} failed")
    return wrong == 0 and found > 0


def positive(word):
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive number")
    return int(word)


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    step = commands.add_parser("step", help="one decode step")
    step.add_argument("--rows", type=positive, default=512, help="live rows, a whole number of beams (default: 512)")
    step.add_argument("--beam", type=int, default=1, choices=sorted(WRITERS), help="beams of a sentence (default: 1)")
    encoder = commands.add_parser("encoder", help="one encoder pass")
    encoder.add_argument("--sentences", type=positive, default=1, help=f"of {SOURCE} tokens each (default: 1)")
    commands.add_parser("fusions", help="what fewer launches would save")
    commands.add_parser("int8", help="products of a step in int8")
    commands.add_parser("sum", help="rates of whole translations, beside the goals")
    commands.add_parser("check", help="compare a page's tables with what this program prints").add_argument("page")
    return parser.parse_args(words)


def table_of(args):
    if args.command == "step":
        return print_kernels(step_kernels(args.rows, args.beam))
    if args.command == "encoder":
        return print_kernels(encoder_kernels(args.sentences))
    return {"fusions": print_fusions, "int8": print_int8, "sum": print_sum}[args.command]()


def main():
    args = parse(sys.argv[1:])
    if args.command == "check":
        sys.exit(0 if check_page(args.page) else 1)
    print("\n".join(table_of(args)))


if __name__ == "__main__":
    main()
