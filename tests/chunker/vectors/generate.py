#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes gear_table.txt and cuts.txt beside itself, from the definition alone.

The definition stands in core/chunker/chunker.h and gear_table.h; this is a second implementation
of it, BLAKE3 included, that shares no code with the first. The files are frozen: cuts are part of
the format, so a run must reproduce them byte for byte. New cases go to the end.
"""
import os
import struct

U64 = (1 << 64) - 1
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, ROOT, KEYED, CONTEXT, MATERIAL = 1, 2, 8, 16, 32, 64


def blake3_one_block(key_words, message, flags):
    """BLAKE3 of at most 64 bytes."""
    def rotate(x, n):
        return (x >> n | x << (32 - n)) & 0xFFFFFFFF

    words = list(struct.unpack("<16I", message.ljust(64, b"\0")))
    v = list(key_words) + list(IV[:4]) + [0, 0, len(message), flags | CHUNK_START | CHUNK_END | ROOT]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(COLUMNS):
            for word, r1, r2 in ((words[2 * i], 16, 12), (words[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                v[d] = rotate(v[d] ^ v[a], r1)
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] = rotate(v[b] ^ v[c], r2)
        words = [words[i] for i in PERMUTATION]
    return struct.pack("<8I", *(v[i] ^ v[i + 8] for i in range(8)))


def gear_table(id_key):
    context = blake3_one_block(IV, b"cairn v1 gear table", CONTEXT)
    key = struct.unpack("<8I", blake3_one_block(struct.unpack("<8I", context), id_key, MATERIAL))
    return [int.from_bytes(blake3_one_block(key, bytes([b]), KEYED)[:8], "little")
            for b in range(256)]


def splitmix64(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & U64
        z = seed
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & U64
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & U64
        yield z ^ z >> 31


def random_bytes(seed, size):
    words = splitmix64(seed)
    return b"".join(struct.pack("<Q", next(words)) for _ in range((size + 7) // 8))[:size]


def make_data(kind, seed, size):
    if kind == "random":
        return random_bytes(seed, size)
    if kind == "four":  # four values only
        return bytes(b & 3 for b in random_bytes(seed, size))
    if kind == "period":  # 37 bytes over and over
        return (random_bytes(seed, 37) * (size // 37 + 1))[:size]
    if kind == "islands":  # of every 3000 bytes the first 1000, zeros after them
        data = bytearray(random_bytes(seed, size))
        for start in range(1000, size, 3000):
            data[start:start + 2000] = bytes(len(data[start:start + 2000]))
        return bytes(data)
    assert kind == "zeros"
    return bytes(size)


def cut_lengths(data, table, smallest, average, largest):
    def mask(bits):
        high = bits - 10
        return 0xFFC0 | ((1 << high) - 1) << (64 - high)

    a = average.bit_length() - 1
    strict, loose = mask(a + 2), mask(a - 2)
    lengths = []
    start = 0
    while start < len(data):
        end = min(len(data), start + largest)
        length = end - start
        if length > smallest:
            h = 0
            for i in range(start + smallest - 64, end):
                h = ((h << 1) + table[data[i]]) & U64
                p = i - start
                if p >= smallest and h & (strict if p < average else loose) == 0:
                    length = p + 1
                    break
        lengths.append(length)
        start += length
    return lengths


SECRET = bytes(range(32))
CASES = (
    # name, kind, seed, size, (min, avg, max), key
    ("defaults", "random", 1, 1 << 20, (4096, 16384, 65536), bytes(32)),
    ("secret-table", "random", 1, 1 << 20, (4096, 16384, 65536), SECRET),
    ("smallest-average", "random", 2, 300000, (1024, 4096, 16384), bytes(32)),
    ("smallest-minimum", "random", 3, 300000, (64, 4096, 4194304), bytes(32)),
    ("odd-sizes", "random", 4, 300000, (777, 4096, 9999), bytes(32)),
    ("large-average", "random", 5, 1 << 20, (16384, 65536, 262144), bytes(32)),
    ("minimum-is-average", "random", 6, 300000, (4096, 4096, 65536), bytes(32)),
    ("average-is-maximum", "random", 7, 300000, (64, 8192, 8192), bytes(32)),
    ("fixed-size", "random", 8, 20000, (4096, 4096, 4096), bytes(32)),
    ("four-values", "four", 9, 1 << 19, (4096, 16384, 65536), bytes(32)),
    ("period", "period", 10, 200000, (4096, 16384, 65536), bytes(32)),
    ("islands", "islands", 11, 1 << 19, (1024, 4096, 16384), bytes(32)),
    ("zeros", "zeros", 0, 150000, (4096, 16384, 65536), bytes(32)),
    ("minimum-exactly", "random", 12, 4096, (4096, 16384, 65536), bytes(32)),
    ("one-more-than-minimum", "random", 13, 4097, (4096, 16384, 65536), bytes(32)),
    ("maximum-exactly", "zeros", 0, 65536, (4096, 16384, 65536), bytes(32)),
    ("one-byte", "random", 14, 1, (4096, 16384, 65536), bytes(32)),
    ("nothing", "random", 15, 0, (4096, 16384, 65536), bytes(32)),
)


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "gear_table.txt"), "w") as out:
        for value in gear_table(bytes(32)):
            out.write(f"{value:016x}\n")
    with open(os.path.join(folder, "cuts.txt"), "w") as out:
        out.write("# name kind seed size min avg max key count lengths...; generate.py has the kinds\n")
        for name, kind, seed, size, sizes, key in CASES:
            lengths = cut_lengths(make_data(kind, seed, size), gear_table(key), *sizes)
            fields = (name, kind, seed, size, *sizes, key.hex(), len(lengths), *lengths)
            out.write(" ".join(str(field) for field in fields) + "\n")


if __name__ == "__main__":
    main()
