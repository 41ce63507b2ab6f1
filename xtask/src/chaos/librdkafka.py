"""Publishes the lines of standard input with librdkafka, and prints what becomes of each, as
`event-kafka publish --key-separator SEPARATOR --report json` does.

Arguments: the topic, the separator, then librdkafka's properties as name=value.
"""

import functools
import json
import sys

import confluent_kafka

TOPIC, SEPARATOR = sys.argv[1], sys.argv[2].encode()
# What counts is what becomes of messages, not what is said of every connection.
QUIET = dict(log_level=2)
PRODUCER = confluent_kafka.Producer(QUIET | dict(word.split("=", 1) for word in sys.argv[3:]))
FAILED = []


def print_failed(n, error):
    FAILED.append(n)
    # The binding does not hand on whether it may be in the log.
    error = dict(code=error.code(), name=error.name(), text=error.str(), persisted="maybe")
    print(json.dumps(dict(n=n, status="failed", topic=TOPIC, error=error)))


def print_report(n, error, message):
    if error:
        return print_failed(n, error)
    place = dict(partition=message.partition(), offset=message.offset())
    latency_us = round(message.latency() * 1e6)
    print(json.dumps(dict(n=n, status="delivered", topic=TOPIC, **place, latency_us=latency_us)))


def take_reports(seconds):
    # What is told must be known to others even if this process is killed.
    if PRODUCER.poll(seconds):
        sys.stdout.flush()


def publish(n, line):
    key, value = line.rstrip(b"\n").split(SEPARATOR, 1)
    report = functools.partial(print_report, n)
    while True:
        try:
            return PRODUCER.produce(TOPIC, key=key, value=value, on_delivery=report)
        except BufferError:
            take_reports(0.1)
        except confluent_kafka.KafkaException as error:
            return print_failed(n, error.args[0])


for n, line in enumerate(sys.stdin.buffer):
    publish(n, line)
    take_reports(0)
while len(PRODUCER):
    take_reports(0.1)
sys.stdout.flush()
sys.exit(1 if FAILED else 0)
