"""Asks librdkafka what it makes of properties.

Arguments: the shared library, the folder to write to. `listing.tsv` is its own list of properties,
`values.tsv` its verdict on a value, and the value that it then has, `sequences.tsv` that on values
one after another, `creations.tsv` that on properties together, and what follows from them.
"""

import ctypes
import pathlib
import re
import sys
import tempfile

C, LIBC = ctypes.CDLL(sys.argv[1]), ctypes.CDLL(None)
OUT = pathlib.Path(sys.argv[2])
OK, PRODUCER = 0, 0

for function, result, arguments in [
    (C.rd_kafka_version_str, "s", ""),
    (C.rd_kafka_conf_new, "p", ""),
    (C.rd_kafka_conf_destroy, "v", "p"),
    (C.rd_kafka_conf_set, "i", "psspn"),
    (C.rd_kafka_conf_get, "i", "pspp"),
    (C.rd_kafka_conf_set_log_cb, "v", "pp"),
    (C.rd_kafka_conf_properties_show, "v", "p"),
    (C.rd_kafka_topic_conf_new, "p", ""),
    (C.rd_kafka_topic_conf_destroy, "v", "p"),
    (C.rd_kafka_topic_conf_set, "i", "psspn"),
    (C.rd_kafka_topic_conf_get, "i", "pspp"),
    (C.rd_kafka_new, "p", "ippn"),
    (C.rd_kafka_conf, "p", "p"),
    (C.rd_kafka_destroy, "v", "p"),
    (LIBC.fopen, "p", "ss"),
    (LIBC.fclose, "i", "p"),
]:
    kinds = dict(s=ctypes.c_char_p, p=ctypes.c_void_p, i=ctypes.c_int, n=ctypes.c_size_t, v=None)
    function.restype = kinds[result]
    function.argtypes = [kinds[kind] for kind in arguments]

# It lists neither what is hidden nor what it always refuses; `librdkafka-properties.csv` of issue 5
# does.
UNLISTED = """
global  client.software.name                    string   -                librdkafka
global  client.software.version                 string   -                -
global  enable.sparse.connections               boolean  -                true
global  metadata.request.timeout.ms             integer  10 .. 900000     10
global  enable_sasl_queue                       boolean  -                false
global  test.mock.num.brokers                   integer  0 .. 10000       0
global  test.mock.broker.rtt                    integer  0 .. 3600000     0
global  ut_handle_ProduceResponse               pointer  -                -
global  ssl.truststore.location                 invalid  -                -
global  sasl.jaas.config                        invalid  -                -
"""

# Names as users mistake them: each is set to "1".
NAMES = """
global no.such.property
global linger
global Linger.ms
global LINGER.MS
global linger.ms.
global linger_ms
global topic.linger.ms
global topic.acks
global topic.topic.acks
global topic.request.required.acks
global topic.metadata.refresh.interval.ms
global topic.topic.metadata.refresh.interval.ms
global default.topic.acks
global topic.
global acks
global compression.level
global topic.compression.level
topic  linger.ms
topic  topic.linger.ms
topic  acks
topic  topic.acks
topic  topic.topic.acks
topic  ACKS
topic  no.such.property
topic  topic.metadata.refresh.interval.ms
topic  message.timeout.ms
topic  delivery.timeout.ms
topic  topic.delivery.timeout.ms
"""

PARTITIONERS = "random consistent consistent_random murmur2 murmur2_random fnv1a fnv1a_random"

# Values that are set one after another.
SEQUENCES = [
    ("global", "debug", ["broker", "topic"]),
    ("global", "debug", ["broker,topic", "-broker"]),
    ("global", "debug", ["all", "-msg"]),
    ("global", "debug", ["broker", "-all", "msg"]),
    ("global", "debug", ["broker", "bogus"]),
    ("global", "linger.ms", ["5", "7"]),
    ("global", "linger.ms", ["7", "soon"]),
    ("global", "queue.buffering.max.ms", ["8", "8.5"]),
    ("global", "client.id", ["a", ""]),
    ("global", "compression.codec", ["none", "gzip"]),
    ("topic", "compression.codec", ["none", "inherit"]),
    ("topic", "acks", ["1", "all"]),
]

# Properties that a producer is made with, beside a broker and the default of a topic's; or without
# those if it says `bare`.
CREATIONS = """
bare
bare;acks=1
bare;bootstrap.servers=h
bare;bootstrap.servers=h;linger.ms=400000
bare;bootstrap.servers=h;linger.ms=400000;acks=1
bare;bootstrap.servers=h;transactional.id=t;transaction.timeout.ms=1000;linger.ms=2000
bare;bootstrap.servers=h;enable.idempotence=true
linger.ms=20;message.timeout.ms=20
linger.ms=20;message.timeout.ms=21
linger.ms=20.5;message.timeout.ms=20
linger.ms=20;delivery.timeout.ms=10
queue.buffering.max.ms=20;message.timeout.ms=10
message.timeout.ms=5
message.timeout.ms=4
message.timeout.ms=1
message.timeout.ms=6
message.timeout.ms=0
message.timeout.ms=0;linger.ms=900000
linger.ms=400000
linger.ms=300000;acks=1
linger.ms=299999;acks=1
linger.ms=0;message.timeout.ms=1
linger.ms=5;message.timeout.ms=5
linger.ms=30
linger.ms=0.4
linger.ms=800000;message.timeout.ms=0
linger.ms=30;sticky.partitioning.linger.ms=0
linger.ms=30;sticky.partitioning.linger.ms=10
sticky.partitioning.linger.ms=10
reconnect.backoff.ms=10001
reconnect.backoff.ms=10000
reconnect.backoff.max.ms=99
reconnect.backoff.max.ms=100
reconnect.backoff.ms=500;reconnect.backoff.max.ms=400
reconnect.backoff.ms=0;reconnect.backoff.max.ms=0
retry.backoff.ms=5000
retry.backoff.ms=5000;retry.backoff.max.ms=4000
retry.backoff.ms=200
retry.backoff.ms=200;topic.metadata.refresh.fast.interval.ms=50
topic.metadata.refresh.fast.interval.ms=5000
topic.metadata.refresh.interval.ms=1000
topic.metadata.refresh.interval.ms=0
topic.metadata.refresh.interval.ms=-1
topic.metadata.refresh.interval.ms=1000;metadata.max.age.ms=50
metadata.max.age.ms=50
bootstrap.servers=my.AZURE.example
bootstrap.servers=my.azure.example;connections.max.idle.ms=0
bootstrap.servers=my.azure.example;connections.max.idle.ms=5
allow.auto.create.topics=false
client.software.name=a b_c!;client.software.version=-1.0-
enable.idempotence=true
enable.idempotence=true;max.in.flight=5
enable.idempotence=true;max.in.flight=6
enable.idempotence=true;max.in.flight=1
enable.idempotence=true;max.in.flight.requests.per.connection=1000000
enable.idempotence=true;acks=all
enable.idempotence=true;acks=-1
enable.idempotence=true;acks=1
enable.idempotence=true;acks=0
enable.idempotence=true;retries=0
enable.idempotence=true;retries=1
enable.idempotence=true;message.send.max.retries=0
enable.idempotence=true;queue.buffering.backpressure.threshold=1
enable.idempotence=true;queue.buffering.backpressure.threshold=2
enable.idempotence=true;queuing.strategy=lifo
enable.idempotence=true;queuing.strategy=fifo
enable.idempotence=true;enable.gapless.guarantee=true
enable.idempotence=false;enable.gapless.guarantee=true
enable.gapless.guarantee=true
enable.gapless.guarantee=false
enable.idempotence=false;max.in.flight=6;acks=0
enable.idempotence=false;retries=0
transactional.id=t
transactional.id=t;enable.idempotence=false
transactional.id=t;enable.idempotence=true
transactional.id=t;acks=1
transactional.id=t;max.in.flight=6
transactional.id=t;message.timeout.ms=60000
transactional.id=t;message.timeout.ms=60001
transactional.id=t;message.timeout.ms=0
transactional.id=t;acks=all
transactional.id=t;transaction.timeout.ms=1000;acks=all
transactional.id=t;transaction.timeout.ms=1000;linger.ms=2000
transactional.id=t;transaction.timeout.ms=1000;linger.ms=2000;acks=all
transactional.id=t;transaction.timeout.ms=1000
transactional.id=t;transaction.timeout.ms=5000
transactional.id=t;socket.timeout.ms=60100
transactional.id=t;socket.timeout.ms=60101
transactional.id=t;transaction.timeout.ms=1000;socket.timeout.ms=10
transactional.id=;enable.idempotence=false
transaction.timeout.ms=1000;message.timeout.ms=2000
ssl.keystore.location=/nowhere
ssl.keystore.location=/nowhere;ssl.keystore.password=x
ssl.keystore.password=x
https.ca.location=probe;https.ca.pem=x
sasl.mechanism=PLAIN;sasl.username=u;sasl.password=p
sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc
sasl.mechanism=oauthbearer;sasl.oauthbearer.method=oidc
sasl.mechanism=PLAIN;sasl.oauthbearer.method=oidc
sasl.mechanism=OAUTHBEARER;enable.sasl.oauthbearer.unsecure.jwt=true
sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;enable.sasl.oauthbearer.unsecure.jwt=true
sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;sasl.oauthbearer.token.endpoint.url=http://h/
OIDC;sasl.oauthbearer.client.id=c
OIDC;sasl.oauthbearer.client.secret=s
OIDC;sasl.oauthbearer.client.id=c;sasl.oauthbearer.client.secret=s
OIDC;sasl.oauthbearer.client.credentials.client.id=c;sasl.oauthbearer.client.credentials.client.secret=s
OIDC;sasl.oauthbearer.client.id=c;sasl.oauthbearer.client.secret=s;sasl.oauthbearer.sub.claim.name= 
OIDC;sasl.oauthbearer.client.id=c;sasl.oauthbearer.client.secret=s;sasl.oauthbearer.sub.claim.name=x
OIDC;JWT
OIDC;JWT;sasl.oauthbearer.assertion.private.key.file=/nowhere
OIDC;JWT;sasl.oauthbearer.assertion.private.key.pem=x
OIDC;JWT;sasl.oauthbearer.assertion.private.key.file=/nowhere;sasl.oauthbearer.assertion.private.key.pem=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.private.key.file=/nowhere
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.private.key.pem=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.private.key.passphrase=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.jwt.template.file=/nowhere
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.sub=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.aud=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.iss=x
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.jti.include=false
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.exp.seconds=300
OIDC;JWT;sasl.oauthbearer.assertion.file=/nowhere;sasl.oauthbearer.assertion.claim.nbf.seconds=60
AZURE
AZURE;sasl.oauthbearer.config=query=x
AZURE;sasl.oauthbearer.config=other=x
AZURE;sasl.oauthbearer.config=other=x,query=y
AZURE;sasl.oauthbearer.token.endpoint.url=http://h/
group.id=g;acks=all
debug=,;acks=all
"""

SHORT = {
    "OIDC": "sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;"
    "sasl.oauthbearer.token.endpoint.url=http://h/",
    "JWT": "sasl.oauthbearer.grant.type=urn:ietf:params:oauth:grant-type:jwt-bearer",
    "AZURE": "sasl.mechanism=OAUTHBEARER;sasl.oauthbearer.method=oidc;"
    "sasl.oauthbearer.metadata.authentication.type=azure_imds",
}


class Conf:
    """A configuration: of a producer or of a topic."""

    def __init__(self, scope):
        prefix = {"global": "rd_kafka_conf", "topic": "rd_kafka_topic_conf"}[scope]
        new, self.setter, self.getter, self.destroyer = (
            getattr(C, f"{prefix}_{verb}") for verb in ("new", "set", "get", "destroy")
        )
        self.pointer = new()

    def set(self, name, value):
        return self.setter(self.pointer, name.encode(), value, None, 0)

    def get(self, name):
        return get(self.getter, self.pointer, name)

    def destroy(self):
        self.destroyer(self.pointer)


def get(getter, pointer, name):
    size = ctypes.c_size_t(1 << 16)
    buffer = ctypes.create_string_buffer(size.value)
    code = getter(pointer, name.encode(), buffer, ctypes.byref(size))
    return buffer.value if code == OK else None


def listed():
    """Scope, name, audience, range, default, importance, type and what it is an alias of."""
    with tempfile.NamedTemporaryFile() as file:
        stream = LIBC.fopen(file.name.encode(), b"w")
        C.rd_kafka_conf_properties_show(stream)
        LIBC.fclose(stream)
        text = file.read().decode()
    scope = None
    for line in text.splitlines():
        if line.startswith("## "):
            scope = line.split()[1].lower()
        cells = [cell.strip() for cell in line.split(" | ")]
        if scope and len(cells) > 5 and cells[0] != "Property":
            name, audience, values, default, importance = cells[:5]
            words = " | ".join(cells[5:])
            kind = re.search(r"\*Type: (.*?)\*$", words)[1]
            alias = re.search(r"Alias for `(.*?)`", words)
            yield scope, name, audience, values, default, importance, kind, alias and alias[1] or ""


def escape(value):
    runs = re.split(rb"((.)\2{19,})", value, flags=re.DOTALL)
    parts = []
    for index in range(0, len(runs), 3):
        parts.append("".join(map(escape_byte, runs[index])))
        if index + 2 < len(runs):
            parts.append(f"\\{{{len(runs[index + 1])}*{escape_byte(runs[index + 2][0])}}}")
    return "".join(parts)


def escape_byte(byte):
    plain = 0x20 < byte < 0x7F and byte not in b"\\{" or byte == 0x20
    return chr(byte) if plain else f"\\x{byte:02x}"


ANYTHING = [b"", b" ", b"\xff\xfe", b"x" * 300]


def numbers(inside, values, default):
    low, _, high = values.partition(" .. ")
    low, high = (int(float(end)) if end else None for end in (low, high))
    for value in (default, low, high):
        if value not in (None, ""):
            yield str(value)
    if low is not None:
        yield from (str(low - 1), str(high + 1), f"{low}x", f"{high}0", f"+{high}", f"-{high}")
        yield from (str(high + (1 << 32)), str(low + (1 << 32)), str(high + (1 << 64)))
    yield from (f" {inside}", f"{inside} ", f"\t{inside}\n", f"{inside}ms", f"{inside} {inside}")
    yield from (f"+{inside}", f"-{inside}", f"0{inside:o}", f"{inside:#x}", f"{inside:#X}")
    yield from (f"{inside}.0", f"{inside}.75", f"{inside}e0", f"{inside},0", f"0b{inside:b}")
    yield from ("08", "0x", "-", "+", "--1", "abc", "true", "all", "99999999999", "9" * 30, "-0")
    yield from ("1e3", "1e999", ".5", "5.", "nan", "inf", "-inf", "0x1p3", "-" + "9" * 30)


def words_of(values):
    return [word.strip() for word in values.split(",")]


def values_of(name, kind, values, default):
    """What a property of that type is tried with."""
    yield from ANYTHING
    texts = []
    if kind in ("integer", "float"):
        low, _, high = values.partition(" .. ")
        low, high = int(float(low)), int(float(high))
        inside = min(max(12, low), high)
        texts = numbers(inside, values, default)
    elif kind == "boolean":
        texts = "true false TRUE False t F T f 1 0 yes no on off 2 -1 01 tru true1".split()
        texts += [" true", "true ", "1 ", " 0", "\ttrue", "true,false"]
    elif kind == "enum value":
        words = words_of(values)
        texts = words + [default, words[0].upper(), words[-1].title(), words[0][:-1], words[0] + "x"]
        texts += [f" {words[-1]}", f"{words[-1]} ", ",".join(words[:2]), f"{words[0]},", "0", "1"]
        texts += ["2", "bogus", f"+{words[0]}", f"-{words[0]}", f"\t{words[0]}"]
    elif kind == "CSV flags":
        one, two = words_of(values or default)[:2]
        texts = words_of(values or default)
        texts += [f"{one},{two}", f"+{one}", f"-{one}", f"{one},-{one}", f" {one}", f"{one} "]
        texts += [one.upper(), f"{one},,{two}", ",", f"{one}, {two}", f"{one} ,{two}", "bogus"]
        texts += [f"{one},bogus", f"{one} {two}", "0", "1", "0xff", "+", "-", f"++{one}"]
    else:
        texts = [default, "abc", " abc", "abc ", "\tabc\n", "a,b", "a b", "ABC", "0", "-1", "true"]
        texts += ["a=b", "é", '"q"', "host:1", "::1", "host:port", "a:1,,b:2 ", "0.9.0", "0.7.2"]
        texts += ["0.6.1", "1", "2.8.0", "GSSAPI", "plain", "SCRAM-SHA-256", "^a.*,b", "^(", "none"]
        texts += PARTITIONERS.split() if name == "partitioner" else []
        texts += ["Murmur2", " murmur2", "murmur2 "] if name == "partitioner" else []
    for text in texts:
        yield text.encode()


def verdict(code, result, value):
    if code != OK:
        return f"!{code}"
    return "~" if result == value else f"={escape(result or b'')}"


def tried(scope, name, values, shown=True):
    seen = set()
    for value in values:
        if value in seen or b"\0" in value:
            continue
        seen.add(value)
        conf = Conf(scope)
        code = conf.set(name, value)
        result = conf.get(name) if code == OK and shown else b""
        if result is None:  # Only `set` knows the prefix.
            result = conf.get(name.removeprefix("topic."))
        conf.destroy()
        yield f"{escape(value)}\t{verdict(code, result, value)}"


def settings(pointer, names):
    return {name: get(C.rd_kafka_conf_get, pointer, name) for name in names}


def created(line, names):
    """Whether a producer can be made with these properties, and what it then has that was not set."""
    # With one of a topic, those of topics are looked at here and not only when a topic is made.
    properties = [("bootstrap.servers", "127.0.0.1:1"), ("request.timeout.ms", "30000")]
    for part in line.split(";"):
        if part == "bare":
            properties = []
            continue
        for item in SHORT.get(part, part).split(";"):
            properties.append(tuple(item.split("=", 1)))
    conf = Conf("global")
    C.rd_kafka_conf_set_log_cb(conf.pointer, None)
    for name, value in properties:
        if conf.set(name, value.encode()) != OK:
            conf.destroy()
            return "unset"
    before = settings(conf.pointer, names)
    producer = C.rd_kafka_new(PRODUCER, conf.pointer, None, 0)
    if not producer:
        conf.destroy()
        return "refused"
    after = settings(C.rd_kafka_conf(producer), names)
    C.rd_kafka_destroy(producer)
    changed = [name for name in names if before[name] != after[name]]
    return "made" + "".join(f"\t{name}={escape(after[name] or b'')}" for name in changed)


def main():
    rows = list(listed())
    title = f"# What librdkafka {C.rd_kafka_version_str().decode()} makes of properties; made by "
    title += "`cargo xtask golden properties`\n"

    with open(OUT / "listing.tsv", "w") as file:
        file.write(title)
        for row in rows:
            file.write("\t".join(row) + "\n")

    unlisted = [re.split(r"  +", line) for line in UNLISTED.strip().splitlines()]
    tries = [(row[0], row[1], row[6], row[3], row[4]) for row in rows]
    tries += [["" if cell == "-" else cell for cell in row] for row in unlisted]
    with open(OUT / "values.tsv", "w") as file:
        file.write(title)
        for scope, name, kind, values, default in tries:
            file.write(f"[{scope} {name}]\n")
            # A pointer is of no interest.
            shown = kind not in ("see dedicated API", "invalid", "pointer")
            for line in tried(scope, name, values_of(name, kind, values, default), shown):
                file.write(line + "\n")
        for scope, name in map(str.split, NAMES.strip().splitlines()):
            file.write(f"[{scope} {name}]\n")
            for line in tried(scope, name, [b"1"]):
                file.write(line + "\n")

    with open(OUT / "sequences.tsv", "w") as file:
        file.write(title)
        for scope, name, values in SEQUENCES:
            conf = Conf(scope)
            codes = [str(conf.set(name, value.encode())) for value in values]
            file.write("\t".join([scope, name, *values, *codes, escape(conf.get(name))]) + "\n")
            conf.destroy()

    kinds_shown = ("see dedicated API",)
    names = [row[1] for row in rows if row[6] not in kinds_shown and not row[7]]
    names += ["client.software.name", "client.software.version"]
    names = list(dict.fromkeys(name for name in names if name != "enabled_events"))
    with open(OUT / "creations.tsv", "w") as file:
        file.write(title)
        for line in CREATIONS.strip("\n").splitlines():
            expanded = ";".join(SHORT.get(part, part) for part in line.split(";"))
            file.write(f"{expanded}\t{created(line, names)}\n")


main()
