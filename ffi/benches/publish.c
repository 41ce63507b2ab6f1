/*
 * What event_kafka_publish() costs its caller: publishes 100 bytes so many times before each flush,
 * and prints the nanoseconds of a message for every round, a line each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "event_kafka.h"

#define MOST_REPORTS 1024

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void demand(int32_t code, const char *what) {
  if (code != EVENT_KAFKA_OK) {
    fprintf(stderr, "%s: %d\n", what, (int)code);
    exit(1);
  }
}

static void clear(event_kafka_producer_t producer, int messages) {
  static event_kafka_report_t reports[MOST_REPORTS];
  demand(event_kafka_flush(producer, 60000, NULL), "flush");
  while (messages > 0) {
    size_t count;
    demand(event_kafka_poll_reports(producer, reports, MOST_REPORTS, &count),
           "reports");
    messages -= (int)count;
  }
}

int main(int argc, char **argv) {
  static const char value[100] = "x";
  event_kafka_producer_t producer;
  event_kafka_topic_t topic;
  if (argc != 4)
    return 2;
  int messages = atoi(argv[2]), rounds = atoi(argv[3]);
  demand(event_kafka_create_from_socket(argv[1], &producer, &topic, NULL, 0),
         argv[1]);
  event_kafka_message_t message = EVENT_KAFKA_MESSAGE_INIT;
  message.value = value;
  message.value_size = sizeof value;
  for (int round = 0; round < rounds; round++) {
    uint64_t before = now_ns();
    for (int n = 0; n < messages; n++)
      demand(event_kafka_publish(topic, &message, 0, NULL, 0), "publish");
    printf("%.2f\n", (double)(now_ns() - before) / messages);
    clear(producer, messages);
  }
  return event_kafka_free(producer) != EVENT_KAFKA_OK;
}
