"""What each op of a run took on its device, from a trace, beside what paper_estimate.py expects of the base shape on one H200.

python3 bench/trace_ops.py run.json [--beam 4]

The trace is of `bench_translate --trace run.json` or `heddle translate --trace run.json`. A table is one kind of pass with one
number of rows computed, of passes that are nearly full; microseconds are means without the outer tenths, since a device's
clock may tick coarsely. The bar of an op begins where the one before ended, and a stamp, a kernel of its own, stands behind
every op: so a bar holds two gaps between kernels. The paper's figure holds one, and NODE is added for the other. A second
table holds each product against the rule that chose its tile (kernels/gemm_tiles.h, bf16): microseconds of every tile by its
clocks, the chosen one first. Where measured and chosen differ by one factor for all shapes the clock is another; where a tile
is wrong everywhere, its `latency` or `work` is.
"""
import argparse
import json
import sys
from collections import defaultdict

import paper_estimate as paper

FULL = 0.8              # rows of those computed, below which a pass says little; a lane waits until an eighth is free
LEAST_PASSES = 8        # of one table
MOST_TABLES = 3         # of one kind of pass: the numbers of rows that took most time
OUTER = 0.1             # of the sorted values, at each end


def middle_mean(values):
    values = sorted(values)
    cut = int(len(values) * OUTER)
    kept = values[cut:len(values) - cut]
    return sum(kept) / len(kept)


def read_passes(path):
    """(name, rows computed) to a list of passes; a pass is its length and its ops in order: (name, N, K, us)."""
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    open_pass, found = {}, defaultdict(list)
    for event in events:
        if event.get("cat") == "pass":
            args = event["args"]
            open_pass[event["tid"]] = ops = []
            if args["rows"] >= FULL * args["computed"]:
                found[event["name"], args["computed"]].append((event["dur"], ops))
        elif event.get("cat") == "op":
            args = event["args"]
            open_pass[event["tid"]].append((event["name"], args["N"], args["K"], event["dur"]))
    return found


def paper_name(op, N, K):
    """The line of paper_estimate.py for an op of a step or of an encoder pass; None: it has none."""
    E, F = paper.E, paper.F
    products = {(3 * E, E): "gemm 3E x E", (E, E): "gemm E x E", (F, E): "gemm F x E", (E, F): "gemm E x F",
                (2 * E, E): "gemm 2E x E"}
    others = {"embed": "embed", "norm": "norm", "attention self": "attention, self pages", "beam_step": "beam_step",
              "attention source": "attention, source pages", "attention packed": "attention, packed",
              "logit_edits": "logit_edits", "logit_reduce": "logit_reduce", "cache_append self": "cache_append",
              "cache_append source": "cache_append"}
    return products.get((N, K)) if op == "gemm" else others.get(op)


def paper_us(kernels, op, N, K):
    """Microseconds of one op by paper, its stamp counted; None where the paper has no such op."""
    name = paper_name(op, N, K)
    lines = [k for k in kernels if name is not None and k.name.startswith(name)]
    if not lines:
        return None
    launches = lines[0].launches            # an op of several kernels, as logit_reduce, has one of each
    return sum(k.launches * k.expected for k in lines) / launches + paper.NODE


def kernels_of(name, computed, beam):
    if name == "step":
        return paper.step_kernels(computed, beam)
    if name in ("encode", "write source"):
        return paper.encoder_kernels(max(1, round(computed / paper.SOURCE)))
    return []


def print_pass(name, computed, passes, beam):
    of_base = any(op == "gemm" and K == paper.E for op, _, K, _ in passes[0][1])
    kernels, bars = kernels_of(name, computed, beam) if of_base else [], defaultdict(list)
    for _, ops in passes:
        for op, N, K, us in ops:
            bars[op, N, K].append(us)
    print(f"\n{name}, {computed} rows computed, {len(passes)} passes: {middle_mean([p[0] for p in passes]):.1f} us each")
    print(f"{'op':20} {'N':>6} {'K':>6} {'a pass':>7} {'us':>8} {'us a pass':>10} {'paper us':>9} {'ratio':>6}")
    sums = [0.0, 0.0]
    for (op, N, K), values in bars.items():
        each, us, expected = len(values) / len(passes), middle_mean(values), paper_us(kernels, op, N, K)
        sums[0] += each * us
        sums[1] += each * (expected or us)
        beside = f"{expected:9.2f} {us / expected:6.2f}" if expected else f"{'-':>9} {'-':>6}"
        print(f"{op:20} {N:6} {K:6} {each:7.1f} {us:8.2f} {each * us:10.1f} {beside}")
    print(f"{'sum':20} {'':6} {'':6} {'':7} {'':8} {sums[0]:10.1f} {sums[1]:9.1f} {sums[0] / sums[1]:6.2f}")
    return {(computed, N, K): middle_mean(v) for (op, N, K), v in bars.items() if op == "gemm"}


def tiles_of(M, N, K):
    """Tiles by their clocks, cheapest first: (us, rows, columns, groups)."""
    found = []
    for tile in (paper.tile_of(*costs) for costs in paper.TILES):
        groups = 1
        while groups <= tile[2] and paper.gemm_bytes(tile, groups) <= paper.SHARED:
            if groups == 1 or groups // 2 < -(-K // paper.CHUNK):
                found.append((paper.gemm_cost(tile, groups, M, N, K) / paper.CLOCK * 1e6, *tile[:2], groups))
            groups *= 2
    return sorted(found)


def print_products(products):
    print(f"\nproducts: measured, less two gaps of {paper.NODE} us; us of tiles by their clocks, the chosen one first")
    for (M, N, K), us in sorted(products.items()):
        tiles = "  ".join(f"{rows}x{columns}/{groups} {t:.2f}" for t, rows, columns, groups in tiles_of(M, N, K)[:5])
        print(f"M {M:5} N {N:6} K {K:5}: {us - 2 * paper.NODE:8.2f}   {tiles}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", help="the file")
    parser.add_argument("--beam", type=int, default=1, choices=sorted(paper.WRITERS), help="of the run (default: 1)")
    args = parser.parse_args()
    try:
        found = read_passes(args.trace)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"trace_ops: {args.trace}: {error!r}")
    products, tables = {}, 0
    for name in ("step", "encode", "write source", "forced"):
        ranked = sorted((sum(p[0] for p in passes), computed) for (n, computed), passes in found.items()
                        if n == name and len(passes) >= LEAST_PASSES)
        for _, computed in reversed(ranked[-MOST_TABLES:]):
            products.update(print_pass(name, computed, found[name, computed], args.beam))
            tables += 1
    if tables == 0:
        sys.exit(f"trace_ops: {args.trace}: no {LEAST_PASSES} passes of one kind and size that are nearly full")
    print_products(products)


if __name__ == "__main__":
    main()
