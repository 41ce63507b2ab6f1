"""Asks librdkafka's own partitioners where keys go.

Arguments: the shared library. Standard input: a key per line in hexadecimal, `-` for the null key.
Standard output: for each hash and key the partitions of 1000, 12 and 3 as one little-endian number
of 16 bits, p1000 + 1000 * (p12 + 12 * p3).
"""

import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])


def partitioner(name):
    function = getattr(library, "rd_kafka_msg_partitioner_" + name)
    function.restype = ctypes.c_int32
    pointer, count = ctypes.c_void_p, ctypes.c_int32
    function.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, count, pointer, pointer]
    return lambda key, partitions: function(None, key, len(key or b""), partitions, None, None)


keys = [None if line == "-" else bytes.fromhex(line) for line in sys.stdin.read().split("\n")]
for name, is_random in [
    ("consistent", lambda key: not key),
    ("murmur2", lambda key: key is None),
    ("fnv1a", lambda key: key is None),
]:
    place, place_or_draw = partitioner(name), partitioner(name + "_random")
    for key in keys:
        p1, p3, p12, p1000 = (place(key, count) for count in (1, 3, 12, 1000))
        assert p1 == 0, (name, key)
        # What is not left to chance is the same for both, so that one column is enough.
        if not is_random(key):
            other = tuple(place_or_draw(key, count) for count in (3, 12, 1000))
            assert other == (p3, p12, p1000), (name, key)
        packed = p1000 + 1000 * (p12 + 12 * p3)
        sys.stdout.buffer.write(packed.to_bytes(2, "little"))
