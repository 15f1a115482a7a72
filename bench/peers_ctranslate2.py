"""One process of ctranslate2 for peers.py: prints what it measured as JSON. Imports nothing else that costs memory."""
import json
import sys
import time

STARTED = time.perf_counter()
WARM_UP_LINES = 32


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def read_tokens(path):
    with open(path, encoding="utf-8") as lines:
        return [line.rstrip("\n").split(" ") for line in lines]


def main():
    job = json.loads(sys.argv[1])
    import ctranslate2
    if job["do"] == "idle":
        print(json.dumps({"peak_bytes": peak_bytes()}))
        return
    translator = ctranslate2.Translator(
        job["model"], compute_type=job["compute"], inter_threads=job["inter_threads"],
        intra_threads=job["intra_threads"])
    sources = read_tokens(job["tokens"])
    options = {"beam_size": job["beam"], "length_penalty": 1, "max_decoding_length": job["max_length"],
               "min_decoding_length": job["min_length"], "max_batch_size": job["batch"],
               "batch_type": job["batch_type"]}
    if job["do"] == "first":
        translator.translate_batch(sources[:1], **options)
        print(json.dumps({"seconds": time.perf_counter() - STARTED}))
        return
    translator.translate_batch(sources[:WARM_UP_LINES], **options)
    begin = time.perf_counter()
    results = translator.translate_batch(sources, return_scores=True, **options)
    seconds = time.perf_counter() - begin
    lengths = [len(r.hypotheses[0]) for r in results]
    tokens = sum(n + (n < job["max_length"]) for n in lengths)      # the end token counts, once
    print(json.dumps({"seconds": seconds, "target_tokens": tokens, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
