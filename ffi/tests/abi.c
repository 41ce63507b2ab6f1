/* Cases of the C interface. abi.rs runs each in a process of its own: abi CASE BOOTSTRAP. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <event_kafka.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define NOWHERE "127.0.0.1:1"

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

#define CHECK_CODE(call, code)                                                 \
  do {                                                                         \
    long is = (call), should_be = (code);                                      \
    if (is != should_be) {                                                     \
      fprintf(stderr, "%s:%d: %s is %ld, not %ld\n", __FILE__, __LINE__,       \
              #call, is, should_be);                                           \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

#define CHECK_OK(call) CHECK_CODE(call, EVENT_KAFKA_OK)

/* ---- what the cases share ---- */

static event_kafka_producer_t create(const char *bootstrap, const char *name,
                                     const char *value) {
  event_kafka_property_t properties[] = {{"bootstrap.servers", bootstrap},
                                         {name, value}};
  event_kafka_producer_t producer;
  char text[256] = "";
  int32_t code = event_kafka_create(properties, name ? 2 : 1, &producer, text,
                                    sizeof text);
  if (code != EVENT_KAFKA_OK)
    fprintf(stderr, "%s\n", text);
  CHECK_OK(code);
  return producer;
}

static event_kafka_topic_t topic_of(event_kafka_producer_t producer,
                                    const char *name) {
  event_kafka_topic_t topic;
  CHECK_OK(event_kafka_topic(producer, name, &topic, NULL, 0));
  return topic;
}

static event_kafka_message_t message(const char *value, uint64_t opaque) {
  event_kafka_message_t message = EVENT_KAFKA_MESSAGE_INIT;
  message.value = value;
  message.value_size = strlen(value);
  message.opaque = opaque;
  return message;
}

static int32_t publish(event_kafka_topic_t topic, uint64_t opaque,
                       uint32_t timeout_ms) {
  event_kafka_message_t one = message("INVITE", opaque);
  return event_kafka_publish(topic, &one, timeout_ms, NULL, 0);
}

static int readable(int fd, int timeout_ms) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  int ready;
  do
    ready = poll(&polled, 1, timeout_ms);
  while (ready < 0 && errno == EINTR);
  CHECK(ready >= 0 && !(polled.revents & POLLNVAL));
  return ready;
}

static size_t take(event_kafka_producer_t producer,
                   event_kafka_report_t *reports, size_t capacity) {
  size_t count = SIZE_MAX;
  CHECK_OK(event_kafka_poll_reports(producer, reports, capacity, &count));
  CHECK(count <= capacity);
  return count;
}

/* Waits at the descriptor until so many are taken. */
static void take_all(event_kafka_producer_t producer,
                     event_kafka_report_t *reports, size_t wanted) {
  int fd;
  CHECK_OK(event_kafka_report_fd(producer, &fd));
  for (size_t taken = 0; taken < wanted;) {
    CHECK(readable(fd, PATIENCE_MS));
    taken += take(producer, reports + taken, wanted - taken);
  }
}

static event_kafka_counters_t counters(event_kafka_producer_t producer) {
  event_kafka_counters_t counted;
  CHECK_OK(event_kafka_counters(producer, &counted));
  CHECK(counted.accepted ==
        counted.delivered + counted.failed + counted.held);
  return counted;
}

static void end(event_kafka_producer_t producer) {
  char text[256] = "";
  int32_t code =
      event_kafka_close(producer, PATIENCE_MS, text, sizeof text);
  if (code != EVENT_KAFKA_OK)
    fprintf(stderr, "%s\n", text);
  CHECK_OK(code);
  CHECK_OK(event_kafka_free(producer));
}

/* ---- publishing ---- */

static void every_part_of_a_message_arrives(const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
  event_kafka_topic_t topic = topic_of(producer, "parts");
  event_kafka_header_t headers[12];
  for (int n = 0; n < 12; n++) {
    event_kafka_header_t header = {"name", 4, n ? "va\0lue" : NULL,
                                   n ? 6 : 0};
    headers[n] = header;
  }
  headers[1].value_size = 0;

  event_kafka_message_t full = EVENT_KAFKA_MESSAGE_INIT;
  full.value = "bin\0ary";
  full.value_size = 7;
  full.key = "call\0id";
  full.key_size = 7;
  full.headers = headers;
  full.partition = 2;
  full.timestamp = 1700000000123;
  full.opaque = UINT64_MAX;

  event_kafka_report_t reports[3];
  const size_t counts[] = {2, 12};
  for (int n = 0; n < 2; n++) {
    full.header_count = counts[n];
    CHECK_OK(event_kafka_publish(topic, &full, 0, NULL, 0));
    take_all(producer, reports, 1);
    CHECK(reports[0].opaque == UINT64_MAX && reports[0].partition == 2);
    CHECK(reports[0].error == EVENT_KAFKA_OK && reports[0].offset == n);
    CHECK(reports[0].log_append_time == -1 && !reports[0].error_text[0]);
    CHECK(reports[0].topic.id == topic.id);
  }
  event_kafka_message_t tombstone = EVENT_KAFKA_MESSAGE_INIT;
  tombstone.key = "call";
  tombstone.key_size = 4;
  tombstone.partition = 2;
  CHECK_OK(event_kafka_publish(topic, &tombstone, 0, NULL, 0));
  event_kafka_message_t empty = message("", 0);
  empty.key = "";
  empty.partition = 2;
  CHECK_OK(event_kafka_publish(topic, &empty, 0, NULL, 0));
  take_all(producer, reports, 2);
  end(producer);
}

static void a_topic_has_one_handle_and_a_name(const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
  event_kafka_topic_t topic = topic_of(producer, "some-topic");
  CHECK(topic.id == topic_of(producer, "some-topic").id);
  CHECK(topic.id != topic_of(producer, "other-topic").id);
  char name[250], tight[5];
  CHECK_OK(event_kafka_topic_name(topic, name, sizeof name));
  CHECK(!strcmp(name, "some-topic"));
  CHECK_OK(event_kafka_topic_name(topic, tight, sizeof tight));
  CHECK(!strcmp(tight, "some"));
  end(producer);
}

static void a_socket_gives_a_producer_and_its_topic(const char *bootstrap) {
  char socket[256], text[256] = "";
  snprintf(socket, sizeof socket,
           "kafka:%s/from-socket?g.linger.ms=1&t.acks=all", bootstrap);
  event_kafka_producer_t producer;
  event_kafka_topic_t topic;
  CHECK_OK(event_kafka_create_from_socket(socket, &producer, &topic, NULL, 0));
  CHECK_OK(publish(topic, 7, 0));
  event_kafka_report_t report;
  take_all(producer, &report, 1);
  CHECK(report.opaque == 7 && report.error == EVENT_KAFKA_OK);
  end(producer);

  const char *const wrong[] = {"", "kafka:", "host", "host/", "host/a/b",
                               "host/t?g.lingr.ms=1", "host/t?t.acks=99999"};
  for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
    text[0] = '\0';
    CHECK_CODE(event_kafka_create_from_socket(wrong[n], &producer, &topic,
                                              text, sizeof text),
               EVENT_KAFKA_ERR_INVALID_ARG);
    CHECK(strlen(text) > 10);
  }
}

enum { THREADS = 4, PER_THREAD = 5000 };

struct publisher {
  event_kafka_topic_t topic;
  uint64_t first;
};

static void *publish_many(void *argument) {
  struct publisher *publisher = argument;
  for (uint64_t n = 0; n < PER_THREAD; n++)
    CHECK_OK(publish(publisher->topic, publisher->first + n, PATIENCE_MS));
  return NULL;
}

static void threads_publish_at_once_and_each_message_has_one_report(
    const char *bootstrap) {
  /* Less than they publish, so that they wait for each other's reports. */
  event_kafka_producer_t producer =
      create(bootstrap, "queue.buffering.max.messages", "1000");
  event_kafka_topic_t topic = topic_of(producer, "threads");
  pthread_t threads[THREADS];
  struct publisher publishers[THREADS];
  for (uint64_t n = 0; n < THREADS; n++) {
    publishers[n] = (struct publisher){topic, n * PER_THREAD};
    CHECK(!pthread_create(&threads[n], NULL, publish_many, &publishers[n]));
  }
  static unsigned char seen[THREADS * PER_THREAD];
  static event_kafka_report_t reports[256];
  int fd;
  CHECK_OK(event_kafka_report_fd(producer, &fd));
  for (size_t total = 0; total < sizeof seen;) {
    CHECK(readable(fd, PATIENCE_MS));
    size_t count = take(producer, reports, 256);
    for (size_t n = 0; n < count; n++) {
      CHECK(reports[n].error == EVENT_KAFKA_OK);
      CHECK(reports[n].opaque < sizeof seen);
      CHECK(!seen[reports[n].opaque]++);
    }
    total += count;
  }
  for (int n = 0; n < THREADS; n++)
    CHECK(!pthread_join(threads[n], NULL));
  CHECK(take(producer, reports, 256) == 0);
  event_kafka_counters_t counted = counters(producer);
  CHECK(counted.accepted == sizeof seen && counted.held == 0);
  CHECK(counted.delivered == sizeof seen && counted.reported == sizeof seen);
  end(producer);
}

/* ---- a full queue ---- */

static event_kafka_producer_t fill(event_kafka_topic_t *topic) {
  event_kafka_producer_t producer =
      create(NOWHERE, "queue.buffering.max.messages", "2");
  *topic = topic_of(producer, "full");
  CHECK_OK(publish(*topic, 1, 0));
  CHECK_OK(publish(*topic, 2, 0));
  return producer;
}

static void a_full_queue_is_an_error_at_once_or_after_the_time(
    const char *bootstrap) {
  (void)bootstrap;
  event_kafka_topic_t topic;
  event_kafka_producer_t producer = fill(&topic);
  event_kafka_message_t third = message("third", 3);
  char text[256] = "";
  CHECK_CODE(event_kafka_publish(topic, &third, 0, text, sizeof text),
             EVENT_KAFKA_ERR_QUEUE_FULL);
  CHECK(strstr(text, "queue.buffering.max.messages"));
  CHECK_CODE(event_kafka_publish(topic, &third, 20, NULL, 0),
             EVENT_KAFKA_ERR_QUEUE_FULL);
  event_kafka_counters_t counted = counters(producer);
  CHECK(counted.accepted == 2 && counted.refused == 2 && counted.held == 2);
  CHECK_OK(event_kafka_free(producer));
}

static void *publish_third(void *topic) {
  return (void *)(intptr_t)publish(*(event_kafka_topic_t *)topic, 3,
                                   PATIENCE_MS);
}

static void a_bounded_wait_ends_with_room_or_with_the_producer(
    const char *bootstrap) {
  (void)bootstrap;
  for (int close_it = 0; close_it < 2; close_it++) {
    event_kafka_topic_t topic;
    event_kafka_producer_t producer = fill(&topic);
    pthread_t waiter;
    CHECK(!pthread_create(&waiter, NULL, publish_third, &topic));
    event_kafka_report_t reports[3];
    if (close_it) {
      CHECK_CODE(event_kafka_close(producer, 0, NULL, 0),
                 EVENT_KAFKA_ERR_TIMED_OUT);
    } else {
      CHECK_OK(event_kafka_purge(producer, EVENT_KAFKA_PURGE_QUEUED));
      take_all(producer, reports, 2);
    }
    void *code;
    CHECK(!pthread_join(waiter, &code));
    CHECK_CODE((intptr_t)code,
               close_it ? EVENT_KAFKA_ERR_CLOSED : EVENT_KAFKA_OK);
    CHECK_OK(event_kafka_free(producer));
  }
}

static void a_descriptor_tells_when_there_is_room(const char *bootstrap) {
  (void)bootstrap;
  event_kafka_topic_t topic;
  event_kafka_producer_t producer = fill(&topic);
  int fd, again;
  CHECK_OK(event_kafka_room_fd(producer, &fd));
  CHECK_OK(event_kafka_room_fd(producer, &again));
  CHECK(fd == again && readable(fd, 0));
  event_kafka_report_t reports[2];
  for (int round = 0; round < 3; round++) {
    CHECK_CODE(publish(topic, 3, 0), EVENT_KAFKA_ERR_QUEUE_FULL);
    CHECK_CODE(publish(topic, 3, 0), EVENT_KAFKA_ERR_QUEUE_FULL);
    CHECK(!readable(fd, 0));
    CHECK_OK(event_kafka_purge(producer, EVENT_KAFKA_PURGE_QUEUED));
    take_all(producer, reports, 2);
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_OK(publish(topic, 1, 0));
    CHECK_OK(publish(topic, 2, 0));
  }
  CHECK_CODE(publish(topic, 3, 0), EVENT_KAFKA_ERR_QUEUE_FULL);
  CHECK(!readable(fd, 0));
  CHECK_CODE(event_kafka_close(producer, 0, NULL, 0),
             EVENT_KAFKA_ERR_TIMED_OUT);
  CHECK(readable(fd, PATIENCE_MS));
  CHECK_CODE(publish(topic, 3, 0), EVENT_KAFKA_ERR_CLOSED);
  CHECK_OK(event_kafka_free(producer));
}

/* ---- reports ---- */

static void a_descriptor_is_readable_while_reports_wait(
    const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
  event_kafka_topic_t topic = topic_of(producer, "rings");
  event_kafka_report_t reports[8];
  int fd;
  CHECK_OK(event_kafka_report_fd(producer, &fd));
  for (int round = 0; round < 3; round++) {
    CHECK(!readable(fd, 0));
    for (uint64_t n = 0; n < 3; n++)
      CHECK_OK(publish(topic, n, 0));
    CHECK_OK(event_kafka_flush(producer, PATIENCE_MS, NULL));
    CHECK(readable(fd, PATIENCE_MS));
    CHECK(take(producer, reports, 0) == 0);
    CHECK(take(producer, reports, 1) == 1);
    CHECK(readable(fd, PATIENCE_MS));
    CHECK(take(producer, reports, 2) == 2);
    /* What told of the last one may still be on its way. */
    while (readable(fd, 0))
      CHECK(take(producer, reports, 8) == 0);
  }
  end(producer);
}

static void a_failure_says_what_happened_and_where(const char *bootstrap) {
  (void)bootstrap;
  event_kafka_producer_t producer =
      create(NOWHERE, "message.timeout.ms", "300");
  event_kafka_topic_t topic = topic_of(producer, "nowhere");
  CHECK_OK(publish(topic, 9, 0));
  event_kafka_report_t report;
  take_all(producer, &report, 1);
  CHECK(report.opaque == 9 && report.offset == -1);
  CHECK_CODE(report.error, EVENT_KAFKA_ERR_MSG_TIMED_OUT);
  CHECK(!strcmp(report.error_name, "_MSG_TIMED_OUT"));
  CHECK(report.place == EVENT_KAFKA_PLACE_NO_METADATA);
  CHECK(report.attempts == 0 && !report.maybe_persisted);
  CHECK(strstr(report.error_text, NOWHERE));
  CHECK(counters(producer).failed == 1);
  end(producer);
}

static void what_is_purged_or_closed_away_has_its_report(
    const char *bootstrap) {
  (void)bootstrap;
  event_kafka_producer_t producer = create(NOWHERE, NULL, NULL);
  event_kafka_topic_t topic = topic_of(producer, "purged");
  event_kafka_report_t reports[2];
  CHECK_OK(publish(topic, 1, 0));
  uint64_t remaining = 0;
  CHECK_CODE(event_kafka_flush(producer, 1, &remaining),
             EVENT_KAFKA_ERR_TIMED_OUT);
  CHECK(remaining == 1);
  CHECK_OK(event_kafka_purge(producer, EVENT_KAFKA_PURGE_QUEUED |
                                           EVENT_KAFKA_PURGE_IN_FLIGHT));
  take_all(producer, reports, 1);
  CHECK_CODE(reports[0].error, EVENT_KAFKA_ERR_PURGE_QUEUE);
  CHECK_OK(event_kafka_flush(producer, 0, &remaining));
  CHECK(remaining == 0);

  CHECK_OK(publish(topic, 2, 0));
  char text[256] = "";
  CHECK_CODE(event_kafka_close(producer, 0, text, sizeof text),
             EVENT_KAFKA_ERR_TIMED_OUT);
  CHECK(strstr(text, "1 to purged"));
  CHECK_CODE(publish(topic, 3, 0), EVENT_KAFKA_ERR_CLOSED);
  take_all(producer, reports, 1);
  CHECK(reports[0].opaque == 2 && reports[0].error != EVENT_KAFKA_OK);
  CHECK_OK(event_kafka_close(producer, 0, NULL, 0));
  CHECK(take(producer, reports, 2) == 0);
  CHECK_OK(event_kafka_free(producer));
}

/* ---- the log ---- */

static void lines_of_the_log_are_fetched(const char *bootstrap) {
  (void)bootstrap;
  static event_kafka_log_line_t lines[16];
  size_t count = SIZE_MAX;
  uint64_t dropped = UINT64_MAX;
  int fd;
  CHECK_OK(event_kafka_log_fd(&fd));
  CHECK(!readable(fd, 0));
  event_kafka_producer_t producer = create(NOWHERE, "debug", "all");
  for (int found = 0; !found;) {
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_OK(event_kafka_poll_log(lines, 16, &count, &dropped));
    CHECK(count > 0 && dropped == 0);
    for (size_t n = 0; n < count; n++) {
      CHECK(lines[n].level >= EVENT_KAFKA_LOG_ERROR);
      CHECK(lines[n].level <= EVENT_KAFKA_LOG_DEBUG);
      CHECK(!strchr(lines[n].text, '\n'));
      found |= strstr(lines[n].text, NOWHERE) != NULL;
    }
  }
  CHECK_OK(event_kafka_free(producer));
  do
    CHECK_OK(event_kafka_poll_log(lines, 16, &count, &dropped));
  while (count);
  CHECK(!readable(fd, 0));
  CHECK_OK(event_kafka_free(create(NOWHERE, "log_level", "0")));
  CHECK(!readable(fd, 0));
}

/* ---- misuse ---- */

static void null_and_absurd_arguments_are_errors(const char *bootstrap) {
  event_kafka_producer_t producer, unused = {0};
  event_kafka_topic_t topic;
  char text[256];
  const int32_t wrong = EVENT_KAFKA_ERR_INVALID_ARG;
  event_kafka_property_t property = {"bootstrap.servers", bootstrap};
  event_kafka_property_t nameless = {NULL, "x"}, without = {"acks", NULL};
  event_kafka_property_t unknown = {"lingr.ms", "1"}, no_utf8 = {"\xff", "1"};

  CHECK(event_kafka_version() == EVENT_KAFKA_VERSION);
  CHECK_CODE(event_kafka_create(NULL, 1, &unused, text, sizeof text), wrong);
  CHECK(!strcmp(text, "properties is NULL"));
  CHECK_CODE(event_kafka_create(&property, 1, NULL, text, 4), wrong);
  CHECK(!strcmp(text, "pro"));
  CHECK_CODE(event_kafka_create(&property, SIZE_MAX, &unused, NULL, 99), wrong);
  CHECK_CODE(event_kafka_create(&property, SIZE_MAX / 16, &unused, text, 0),
             wrong);
  CHECK_CODE(event_kafka_create((void *)((char *)&property + 1), 1, &unused,
                                text, SIZE_MAX),
             wrong);
  CHECK_CODE(event_kafka_create(&nameless, 1, &unused, NULL, 0), wrong);
  CHECK_CODE(event_kafka_create(&without, 1, &unused, NULL, 0), wrong);
  CHECK_CODE(event_kafka_create(&no_utf8, 1, &unused, NULL, 0), wrong);
  CHECK_CODE(event_kafka_create(NULL, 0, &unused, NULL, 0), wrong);
  CHECK_CODE(event_kafka_create(&unknown, 1, &unused, text, sizeof text),
             wrong);
  CHECK(strstr(text, "linger.ms"));
  CHECK_CODE(unused.id, 0);

  CHECK_CODE(event_kafka_create_from_socket(NULL, &unused, &topic, NULL, 0),
             wrong);
  CHECK_CODE(event_kafka_create_from_socket("h/t", NULL, &topic, NULL, 0),
             wrong);
  CHECK_CODE(event_kafka_create_from_socket("h/t", &unused, NULL, NULL, 0),
             wrong);

  producer = create(bootstrap, "message.max.bytes", "10000");
  CHECK_CODE(event_kafka_topic(producer, NULL, &topic, NULL, 0), wrong);
  CHECK_CODE(event_kafka_topic(producer, "t", NULL, NULL, 0), wrong);
  CHECK_CODE(event_kafka_topic(producer, "a b", &topic, NULL, 0), wrong);
  topic = topic_of(producer, "absurd");
  CHECK_CODE(event_kafka_topic_name(topic, NULL, 9), wrong);
  CHECK_CODE(event_kafka_topic_name(topic, text, 0), wrong);

  CHECK_CODE(event_kafka_publish(topic, NULL, 0, NULL, 0), wrong);
  static char large[20000];
  event_kafka_header_t header = {"h", 1, NULL, 0}, bad_header;
  const event_kafka_message_t init = EVENT_KAFKA_MESSAGE_INIT;
  event_kafka_message_t bad = init;
  bad.value_size = 1;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad.value = large;
  bad.value_size = SIZE_MAX;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad.value_size = sizeof large;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0),
             EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE);
  bad = init;
  bad.key_size = 1;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad.key = large;
  bad.key_size = (size_t)PTRDIFF_MAX + 1;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad = init;
  bad.header_count = 1;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad.headers = &header;
  bad.header_count = SIZE_MAX / sizeof header;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad.headers = &bad_header;
  bad.header_count = 1;
  bad_header = (event_kafka_header_t){NULL, 1, NULL, 0};
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad_header = (event_kafka_header_t){"\xff", 1, NULL, 0};
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad_header = (event_kafka_header_t){"h", 1, NULL, 1};
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad_header = (event_kafka_header_t){"h", SIZE_MAX, NULL, 0};
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad = message("x", 0);
  bad.timestamp = -1;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);
  bad = message("x", 0);
  bad.partition = INT_MIN;
  CHECK_CODE(event_kafka_publish(topic, &bad, 0, NULL, 0), wrong);

  event_kafka_report_t report;
  size_t count;
  uint64_t dropped;
  CHECK_CODE(event_kafka_poll_reports(producer, NULL, 1, &count), wrong);
  CHECK_CODE(event_kafka_poll_reports(producer, &report, 1, NULL), wrong);
  CHECK_OK(event_kafka_poll_reports(producer, NULL, 0, &count));
  CHECK(count == 0);
  CHECK_CODE(event_kafka_report_fd(producer, NULL), wrong);
  CHECK_CODE(event_kafka_room_fd(producer, NULL), wrong);
  CHECK_CODE(event_kafka_flush(producer, 0, (void *)1), wrong);
  CHECK_CODE(event_kafka_purge(producer, 0), wrong);
  CHECK_CODE(event_kafka_purge(producer, 4), wrong);
  CHECK_CODE(event_kafka_purge(producer, UINT32_MAX), wrong);
  CHECK_CODE(event_kafka_counters(producer, NULL), wrong);
  CHECK_CODE(event_kafka_fatal_error(producer, NULL, NULL, 0), wrong);
  int32_t fatal = 1;
  CHECK_OK(event_kafka_fatal_error(producer, &fatal, NULL, 0));
  CHECK(fatal == 0);
  CHECK_CODE(event_kafka_poll_log(NULL, 1, &count, &dropped), wrong);
  CHECK_CODE(event_kafka_poll_log(NULL, 0, NULL, &dropped), wrong);
  CHECK_CODE(event_kafka_poll_log(NULL, 0, &count, NULL), wrong);
  CHECK_CODE(event_kafka_log_fd(NULL), wrong);
  event_kafka_counters_t counted = counters(producer);
  CHECK(counted.accepted == 0);
  end(producer);
}

/* What every function that takes a handle returns. */
static void expect_all(event_kafka_producer_t producer,
                       event_kafka_topic_t topic, int32_t code) {
  event_kafka_topic_t unused;
  event_kafka_report_t report;
  event_kafka_counters_t counted;
  char text[256];
  size_t count;
  int32_t fatal;
  int fd;
  CHECK_CODE(event_kafka_topic(producer, "t", &unused, NULL, 0), code);
  CHECK_CODE(event_kafka_topic_name(topic, text, sizeof text), code);
  CHECK_CODE(publish(topic, 1, 0), code);
  CHECK_CODE(publish(topic, 1, PATIENCE_MS), code);
  CHECK_CODE(event_kafka_room_fd(producer, &fd), code);
  CHECK_CODE(event_kafka_poll_reports(producer, &report, 1, &count), code);
  CHECK_CODE(event_kafka_report_fd(producer, &fd), code);
  CHECK_CODE(event_kafka_flush(producer, PATIENCE_MS, NULL), code);
  CHECK_CODE(event_kafka_purge(producer, EVENT_KAFKA_PURGE_QUEUED), code);
  CHECK_CODE(event_kafka_counters(producer, &counted), code);
  CHECK_CODE(event_kafka_fatal_error(producer, &fatal, NULL, 0), code);
  CHECK_CODE(event_kafka_close(producer, PATIENCE_MS, text, sizeof text),
             code);
  CHECK(strlen(text) > 10);
  CHECK_CODE(event_kafka_free(producer), code);
}

static void handles_that_name_nothing_are_errors(const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL), never;
  event_kafka_topic_t topic = topic_of(producer, "freed"), no_topic;
  end(producer);
  expect_all(producer, topic, EVENT_KAFKA_ERR_BAD_HANDLE);
  /* Its place is taken by another one. */
  event_kafka_producer_t next = create(bootstrap, NULL, NULL);
  event_kafka_topic_t next_topic = topic_of(next, "freed");
  expect_all(producer, topic, EVENT_KAFKA_ERR_BAD_HANDLE);
  const uint64_t numbers[] = {0, 1, UINT64_MAX, next.id + 1, next.id << 1,
                              next.id ^ (1ull << 63)};
  for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
    never.id = no_topic.id = numbers[n];
    expect_all(never, no_topic, EVENT_KAFKA_ERR_BAD_HANDLE);
  }
  CHECK_OK(publish(next_topic, 1, 0));
  end(next);
}

static void *publish_until_freed(void *topic) {
  int32_t code;
  do
    code = publish(*(event_kafka_topic_t *)topic, 1, 1);
  while (code == EVENT_KAFKA_OK || code == EVENT_KAFKA_ERR_QUEUE_FULL ||
         code == EVENT_KAFKA_ERR_CLOSED);
  return (void *)(intptr_t)code;
}

static void a_producer_may_be_freed_while_threads_publish(
    const char *bootstrap) {
  for (int round = 0; round < 10; round++) {
    event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
    event_kafka_topic_t topic = topic_of(producer, "under-way");
    pthread_t threads[THREADS];
    for (int n = 0; n < THREADS; n++)
      CHECK(!pthread_create(&threads[n], NULL, publish_until_freed, &topic));
    while (counters(producer).accepted < 100)
      CHECK_OK(event_kafka_flush(producer, PATIENCE_MS, NULL));
    CHECK_OK(event_kafka_free(producer));
    for (int n = 0; n < THREADS; n++) {
      void *code;
      CHECK(!pthread_join(threads[n], &code));
      CHECK_CODE((intptr_t)code, EVENT_KAFKA_ERR_BAD_HANDLE);
    }
  }
}

static void a_forked_child_is_told_so_and_the_parent_goes_on(
    const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL), unused;
  event_kafka_topic_t topic = topic_of(producer, "forks"), unused_topic;
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    alarm(30);
    const int32_t forked = EVENT_KAFKA_ERR_FORKED;
    event_kafka_property_t property = {"bootstrap.servers", bootstrap};
    size_t count;
    uint64_t dropped;
    int fd;
    expect_all(producer, topic, forked);
    CHECK_CODE(event_kafka_create(&property, 1, &unused, NULL, 0), forked);
    CHECK_CODE(event_kafka_create_from_socket("h/t", &unused, &unused_topic,
                                              NULL, 0),
               forked);
    CHECK_CODE(event_kafka_poll_log(NULL, 0, &count, &dropped), forked);
    CHECK_CODE(event_kafka_log_fd(&fd), forked);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_OK(publish(topic, 1, 0));
  event_kafka_report_t report;
  take_all(producer, &report, 1);
  CHECK(report.error == EVENT_KAFKA_OK);
  end(producer);
}

static void a_child_forked_before_the_first_use_is_free(
    const char *bootstrap) {
  pid_t child = fork();
  CHECK(child >= 0);
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
  CHECK_OK(publish(topic_of(producer, "first-fork"), 1, 0));
  end(producer);
  if (!child)
    _exit(0);
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- areas and workers, in one process where nothing else is said ---- */

struct host {
  event_kafka_area_t area;
  event_kafka_worker_t worker;
  event_kafka_socket_t socket;
};

static event_kafka_socket_t subscribe(event_kafka_area_t area,
                                      const char *bootstrap,
                                      const char *rest) {
  event_kafka_socket_t socket;
  char text[256], why[256] = "";
  snprintf(text, sizeof text, "kafka:%s/%s", bootstrap, rest);
  int32_t code =
      event_kafka_area_subscribe(area, text, &socket, why, sizeof why);
  if (code != EVENT_KAFKA_OK)
    fprintf(stderr, "%s\n", why);
  CHECK_OK(code);
  return socket;
}

static struct host start_host(const char *bootstrap, const char *rest,
                              uint32_t flags) {
  struct host host;
  CHECK_OK(event_kafka_area_create(NULL, &host.area, NULL, 0));
  host.socket = subscribe(host.area, bootstrap, rest);
  CHECK_OK(event_kafka_worker_attach(host.area, flags, &host.worker, NULL, 0));
  return host;
}

static void end_host(struct host host) {
  CHECK_OK(event_kafka_worker_close(host.worker, PATIENCE_MS, NULL, 0));
  CHECK_OK(event_kafka_worker_free(host.worker));
  CHECK_OK(event_kafka_area_free(host.area));
}

static int32_t publish_to(event_kafka_area_t area, event_kafka_socket_t socket,
                          uint64_t opaque) {
  event_kafka_message_t one = message("INVITE", opaque);
  return event_kafka_area_publish(area, socket, 7, &one, 0, NULL, 0);
}

/* Takes one report, and checks of which message it is. */
static event_kafka_lane_report_t take_one(event_kafka_area_t area,
                                          event_kafka_socket_t socket,
                                          uint64_t opaque) {
  static event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
  size_t count;
  int fd;
  CHECK_OK(event_kafka_area_report_fd(area, &fd));
  do {
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_OK(event_kafka_area_poll_reports(area, reports,
                                           EVENT_KAFKA_MOST_REPORTS, &count));
  } while (!count);
  CHECK(count == 1);
  CHECK(reports[0].opaque == opaque && reports[0].route == 7);
  CHECK(reports[0].socket.slot == socket.slot);
  CHECK(reports[0].socket.generation == socket.generation);
  return reports[0];
}

static event_kafka_socket_status_t status_of(event_kafka_area_t area,
                                             event_kafka_socket_t socket) {
  event_kafka_socket_status_t status;
  CHECK_OK(event_kafka_area_status(area, socket, &status));
  CHECK(status.accepted == status.delivered + status.failed + status.held);
  return status;
}

static void a_report_tells_where_a_message_is_and_what_it_was(
    const char *bootstrap) {
  struct host host =
      start_host(bootstrap, "told", EVENT_KAFKA_WORKER_REPORTS_RECORDS);
  event_kafka_message_t whole = message("BYE", 3);
  whole.key = "call";
  whole.key_size = 4;
  CHECK_OK(
      event_kafka_area_publish(host.area, host.socket, 7, &whole, 0, NULL, 0));
  event_kafka_lane_report_t report = take_one(host.area, host.socket, 3);
  CHECK_OK(report.error);
  CHECK(report.offset == 0 && report.partition >= 0);
  CHECK(!strcmp(report.topic, "told") && !*report.error_name);
  CHECK(report.key_size == 4 && !memcmp(report.key, "call", 4));
  CHECK(report.value_size == 3 && !memcmp(report.value, "BYE", 3));
  /* Whoever wants no report gets none. */
  CHECK_OK(event_kafka_area_publish(host.area, host.socket,
                                    EVENT_KAFKA_ROUTE_NONE, &whole, 0, NULL, 0));
  CHECK_OK(event_kafka_worker_drain(host.worker, PATIENCE_MS, NULL));
  CHECK(status_of(host.area, host.socket).delivered == 2);
  CHECK_OK(publish_to(host.area, host.socket, 4));
  take_one(host.area, host.socket, 4);
  end_host(host);
}

static int32_t publish_to_topic(struct host host, const char *topic,
                                uint64_t opaque) {
  event_kafka_message_t one = message("INVITE", opaque);
  return event_kafka_area_publish_to(host.area, host.socket, topic,
                                     strlen(topic), 7, &one, 0, NULL, 0);
}

static void a_message_may_go_to_another_topic_of_its_socket(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "own", 0);
  CHECK_OK(publish_to_topic(host, "another", 5));
  event_kafka_lane_report_t report = take_one(host.area, host.socket, 5);
  CHECK_OK(report.error);
  CHECK(!strcmp(report.topic, "another"));
  CHECK(status_of(host.area, host.socket).delivered == 1);
  CHECK_CODE(publish_to_topic(host, "", 6), EVENT_KAFKA_ERR_INVALID_ARG);
  CHECK_CODE(publish_to_topic(host, "no name", 6), EVENT_KAFKA_ERR_INVALID_ARG);
  end_host(host);
}

/* Waits until a socket stands so with its cluster. */
static event_kafka_socket_status_t status_with(event_kafka_area_t area,
                                               event_kafka_socket_t socket,
                                               int32_t contact) {
  event_kafka_socket_status_t status;
  for (int tries = 0; tries < PATIENCE_MS; tries++) {
    status = status_of(area, socket);
    if (status.contact == contact)
      return status;
    usleep(1000);
  }
  fprintf(stderr, "contact is %d, not %d\n", status.contact, contact);
  exit(1);
}

/* Waits for the next change of sockets. */
static event_kafka_socket_change_t change_of(struct host host) {
  event_kafka_socket_change_t change;
  int32_t have_changed;
  int fd;
  CHECK_OK(event_kafka_worker_change_fd(host.worker, &fd));
  CHECK(readable(fd, PATIENCE_MS));
  CHECK_OK(event_kafka_worker_have_changed(host.worker, &have_changed));
  CHECK(have_changed == 1);
  CHECK_OK(event_kafka_worker_have_changed(host.worker, &have_changed));
  CHECK(have_changed == 0);
  CHECK_OK(event_kafka_area_take_change(host.area, 0, &change));
  return change;
}

static void an_area_says_how_its_sockets_are(const char *bootstrap) {
  struct host host = start_host(bootstrap, "status?header.token=secret", 0);
  event_kafka_socket_t sockets[4], dead;
  event_kafka_socket_change_t change;
  event_kafka_area_overview_t all;
  char id[32], address[256];
  int32_t may_tell;
  size_t count;

  event_kafka_socket_status_t status =
      status_with(host.area, host.socket, EVENT_KAFKA_CONTACT_UP);
  CHECK(status.state == EVENT_KAFKA_SOCKET_OPEN && !status.error_at_ms);
  change = change_of(host);
  CHECK(change.contact == EVENT_KAFKA_CONTACT_UP && !change.state);
  CHECK(change.socket.slot == host.socket.slot);
  CHECK_OK(event_kafka_area_take_change(host.area, 0, &change));
  CHECK(!change.contact && !change.state);
  CHECK_OK(publish_to(host.area, host.socket, 1));
  take_one(host.area, host.socket, 1);

  CHECK_OK(event_kafka_area_define(
      host.area,
      "[dead] 127.0.0.1:1/nobody?g.queue.buffering.max.messages=1&"
      "t.message.timeout.ms=60000",
      &dead, NULL, 0));
  CHECK_OK(publish_to(host.area, dead, 2));
  status = status_with(host.area, dead, EVENT_KAFKA_CONTACT_DOWN);
  CHECK(status.error == EVENT_KAFKA_ERR_TRANSPORT && *status.error_text);
  CHECK(status.error_at_ms > 1700000000000);
  while (status.state != EVENT_KAFKA_SOCKET_FULL || !status.held_bytes)
    status = status_of(host.area, dead);
  CHECK(status.held == 1);
  CHECK_CODE(publish_to(host.area, dead, 3), EVENT_KAFKA_ERR_QUEUE_FULL);

  CHECK_OK(event_kafka_area_sockets(host.area, sockets, 4, &count));
  CHECK(count == 2 && sockets[1].slot == dead.slot);
  CHECK_OK(event_kafka_area_sockets(host.area, sockets, 1, &count));
  CHECK(count == 1);
  CHECK_OK(event_kafka_area_socket_name(host.area, dead, id, sizeof id, address,
                                        sizeof address));
  CHECK(!strcmp(id, "dead") && !strcmp(address, "127.0.0.1:1/nobody"));
  CHECK_OK(event_kafka_area_socket_name(host.area, host.socket, id, sizeof id,
                                        address, sizeof address));
  CHECK(!*id && strstr(address, "/status") && !strchr(address, '?'));

  CHECK_OK(event_kafka_area_overview(host.area, &all));
  CHECK(all.accepted == 2 && all.delivered == 1 && all.held == 1);
  CHECK(all.refused == 1 && all.reported == 1 && all.failed == 0);
  CHECK(all.lanes == 1 && all.sockets == 2 && all.has_worker == 1);
  CHECK(all.lane_bytes == 0 && all.held_bytes == status.held_bytes);

  CHECK_OK(event_kafka_area_may_tell(host.area, dead, host.socket, &may_tell));
  CHECK(may_tell == 1);
  CHECK_OK(event_kafka_area_may_tell(host.area, dead, dead, &may_tell));
  CHECK(may_tell == 0);
  CHECK_CODE(event_kafka_worker_close(host.worker, 0, NULL, 0),
             EVENT_KAFKA_ERR_TIMED_OUT);
  CHECK_OK(event_kafka_area_overview(host.area, &all));
  CHECK(all.failed == 1 && all.held == 0);
  end_host(host);
}

static void a_socket_is_flushed_without_lingering(const char *bootstrap) {
  /* Within the test nothing would be sent. */
  struct host host =
      start_host(bootstrap, "flushed?g.linger.ms=600000&t.message.timeout.ms=900000", 0);
  uint64_t number, next;
  int32_t is_flushed = 0;
  CHECK_OK(publish_to(host.area, host.socket, 1));
  CHECK_OK(event_kafka_area_flush(host.area, host.socket, &number));
  take_one(host.area, host.socket, 1);
  while (!is_flushed)
    CHECK_OK(event_kafka_area_is_flushed(host.area, host.socket, number,
                                         &is_flushed));
  CHECK(status_of(host.area, host.socket).delivered == 1);
  /* It lingers again. */
  CHECK_OK(publish_to(host.area, host.socket, 2));
  while (!status_of(host.area, host.socket).held)
    ;
  usleep(200000);
  CHECK(status_of(host.area, host.socket).held == 1);
  CHECK_OK(event_kafka_area_flush(host.area, host.socket, &next));
  CHECK(next > number);
  take_one(host.area, host.socket, 2);
  CHECK_CODE(event_kafka_area_flush(host.area, (event_kafka_socket_t){9, 9},
                                    &next),
             EVENT_KAFKA_ERR_CLOSED);
  CHECK_CODE(event_kafka_area_flush(host.area, host.socket, NULL),
             EVENT_KAFKA_ERR_INVALID_ARG);
  end_host(host);
}

static size_t give_up(void *calls, void *room, size_t room_size) {
  CHECK(room && room_size >= 10);
  ++*(int *)calls;
  return room_size + 1;
}

static void a_message_that_is_given_up_never_was(const char *bootstrap) {
  struct host host = start_host(bootstrap, "given-up", 0);
  event_kafka_message_t nothing = EVENT_KAFKA_MESSAGE_INIT;
  int calls = 0;
  CHECK_CODE(event_kafka_area_publish_in_place(host.area, host.socket, 7,
                                               &nothing, 10, give_up, &calls,
                                               NULL, 0),
             EVENT_KAFKA_ERR_INVALID_ARG);
  CHECK(calls == 1);
  CHECK_OK(publish_to(host.area, host.socket, 1));
  take_one(host.area, host.socket, 1);
  CHECK(status_of(host.area, host.socket).accepted == 1);
  end_host(host);
}

static void a_socket_is_full_when_its_budget_is_used_up(const char *bootstrap) {
  (void)bootstrap;
  struct host host =
      start_host(NOWHERE, "full?g.queue.buffering.max.messages=10", 0);
  event_kafka_socket_t other = subscribe(host.area, NOWHERE, "other");
  int32_t code;
  while ((code = publish_to(host.area, host.socket, 1)) == EVENT_KAFKA_OK)
    ;
  CHECK_CODE(code, EVENT_KAFKA_ERR_QUEUE_FULL);
  while (status_of(host.area, host.socket).state != EVENT_KAFKA_SOCKET_FULL)
    CHECK_CODE(event_kafka_worker_drain(host.worker, 1, NULL),
               EVENT_KAFKA_ERR_TIMED_OUT);
  event_kafka_message_t one = message("INVITE", 1);
  char why[128] = "";
  CHECK_CODE(event_kafka_area_publish(host.area, host.socket, 7, &one, 10, why,
                                      sizeof why),
             EVENT_KAFKA_ERR_QUEUE_FULL);
  CHECK(strstr(why, "the socket has"));
  CHECK(status_of(host.area, host.socket).refused >= 2);
  CHECK_OK(publish_to(host.area, other, 2));
  CHECK_CODE(event_kafka_worker_close(host.worker, 1, why, sizeof why),
             EVENT_KAFKA_ERR_TIMED_OUT);
  CHECK(strstr(why, "were not delivered"));
  event_kafka_worker_counters_t counted;
  CHECK_OK(event_kafka_worker_counters(host.worker, &counted));
  CHECK(counted.held == 0 && counted.accepted == counted.failed);
  CHECK_OK(event_kafka_worker_free(host.worker));
  CHECK_OK(event_kafka_area_free(host.area));
}

static void sockets_come_and_go(const char *bootstrap) {
  struct host host = start_host(bootstrap, "come-and-go", 0);
  event_kafka_area_t area = host.area;
  event_kafka_socket_t found, defined;
  char text[128], why[128] = "";
  snprintf(text, sizeof text, "[k1]%s/by-id", bootstrap);
  CHECK_CODE(event_kafka_area_find(area, "k1", &found),
             EVENT_KAFKA_ERR_INVALID_ARG);
  CHECK_OK(event_kafka_area_define(area, text, &defined, NULL, 0));
  CHECK_OK(event_kafka_area_find(area, "k1", &found));
  CHECK(found.slot == defined.slot && found.generation == defined.generation);
  CHECK_CODE(event_kafka_area_define(area, text, &found, why, sizeof why),
             EVENT_KAFKA_ERR_INVALID_ARG);
  CHECK(strstr(why, "taken"));
  CHECK_CODE(event_kafka_area_subscribe(area, "host/a b", &found, why,
                                        sizeof why),
             EVENT_KAFKA_ERR_INVALID_ARG);
  CHECK(strstr(why, "byte"));
  CHECK_OK(publish_to(area, defined, 1));
  CHECK_OK(event_kafka_area_unsubscribe(area, defined));
  CHECK_CODE(event_kafka_area_unsubscribe(area, defined),
             EVENT_KAFKA_ERR_CLOSED);
  CHECK_CODE(publish_to(area, defined, 2), EVENT_KAFKA_ERR_CLOSED);
  /* What it had taken is delivered. */
  CHECK_OK(take_one(area, defined, 1).error);
  event_kafka_socket_status_t status;
  while (event_kafka_area_status(area, defined, &status) == EVENT_KAFKA_OK)
    CHECK_OK(event_kafka_worker_drain(host.worker, PATIENCE_MS, NULL));
  event_kafka_socket_t next = subscribe(area, bootstrap, "next");
  CHECK(next.slot == defined.slot && next.generation != defined.generation);
  CHECK_CODE(publish_to(area, defined, 3), EVENT_KAFKA_ERR_CLOSED);
  CHECK_OK(publish_to(area, next, 4));
  CHECK_OK(take_one(area, next, 4).error);
  end_host(host);
}

static event_kafka_worker_counters_t counted_by(event_kafka_worker_t worker) {
  event_kafka_worker_counters_t counted;
  CHECK_OK(event_kafka_worker_counters(worker, &counted));
  CHECK(counted.accepted ==
        counted.delivered + counted.failed + counted.held);
  return counted;
}

static void a_process_that_takes_no_reports_hinders_itself_alone(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "takes-none?g.linger.ms=1", 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    event_kafka_message_t one = message("INVITE", 1);
    char why[128] = "";
    alarm(60);
    /* In the end its lane is full for good. */
    while (event_kafka_area_publish(host.area, host.socket, 7, &one, 500, why,
                                    sizeof why) == EVENT_KAFKA_OK)
      ;
    CHECK(strstr(why, "the lane of this process is full"));
    alarm(0);
    raise(SIGSTOP);
    _exit(1);
  }
  int ended;
  CHECK(waitpid(child, &ended, WUNTRACED) == child && WIFSTOPPED(ended));
  CHECK(counted_by(host.worker).parked > 0);
  for (uint64_t n = 0; n < 1000; n++) {
    CHECK_OK(publish_to(host.area, host.socket, n));
    CHECK_OK(take_one(host.area, host.socket, n).error);
  }
  CHECK(!kill(child, SIGKILL));
  CHECK(waitpid(child, &ended, 0) == child && WIFSIGNALED(ended));
  /* What it had published is delivered, and its reports are nobody's. */
  while (counted_by(host.worker).reclaimed == 0)
    CHECK_OK(event_kafka_worker_drain(host.worker, PATIENCE_MS, NULL));
  CHECK_OK(event_kafka_worker_drain(host.worker, PATIENCE_MS, NULL));
  event_kafka_worker_counters_t counted = counted_by(host.worker);
  CHECK(counted.held == 0 && counted.parked == 0 && counted.orphaned > 0);
  CHECK(counted.taken == counted.delivered);
  end_host(host);
}

static int threads(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks);
  for (struct dirent *task; (task = readdir(tasks));)
    count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void a_producer_ends_with_the_last_socket_that_needs_it(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "stays", 0);
  CHECK_OK(publish_to(host.area, host.socket, 1));
  take_one(host.area, host.socket, 1);
  int before = threads();
  event_kafka_socket_t same = subscribe(host.area, bootstrap, "shares-it");
  event_kafka_socket_t other =
      subscribe(host.area, bootstrap, "goes?g.linger.ms=1");
  CHECK_OK(publish_to(host.area, same, 2));
  take_one(host.area, same, 2);
  CHECK_OK(publish_to(host.area, other, 3));
  take_one(host.area, other, 3);
  CHECK(threads() == before + 1);
  CHECK_OK(event_kafka_area_unsubscribe(host.area, other));
  CHECK_OK(event_kafka_area_unsubscribe(host.area, same));
  for (int ms = 0; threads() > before; ms++) {
    CHECK(ms < PATIENCE_MS);
    /* Nobody is told of the end of a thread. */
    usleep(1000);
  }
  CHECK_OK(publish_to(host.area, host.socket, 4));
  take_one(host.area, host.socket, 4);
  end_host(host);
}

static void an_area_has_one_worker_at_a_time(const char *bootstrap) {
  struct host host = start_host(bootstrap, "one-worker", 0);
  event_kafka_worker_t second, first = host.worker;
  char why[128] = "";
  CHECK_CODE(
      event_kafka_worker_attach(host.area, 0, &second, why, sizeof why),
      EVENT_KAFKA_ERR_STATE);
  CHECK(strstr(why, "serves this area"));
  CHECK_OK(publish_to(host.area, host.socket, 1));
  CHECK_OK(event_kafka_worker_close(first, PATIENCE_MS, NULL, 0));
  CHECK_OK(take_one(host.area, host.socket, 1).error);
  CHECK_CODE(publish_to(host.area, host.socket, 2), EVENT_KAFKA_ERR_CLOSED);
  CHECK_OK(event_kafka_worker_attach(host.area, 0, &second, NULL, 0));
  CHECK_OK(event_kafka_worker_free(first));
  host.worker = second;
  host.socket = subscribe(host.area, bootstrap, "one-worker");
  CHECK_OK(publish_to(host.area, host.socket, 3));
  CHECK_OK(take_one(host.area, host.socket, 3).error);
  end_host(host);
}

static void a_child_of_the_worker_publishes_and_is_no_worker(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "worker-forks", 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (!child) {
    alarm(30);
    const int32_t forked = EVENT_KAFKA_ERR_FORKED;
    event_kafka_worker_counters_t counted;
    event_kafka_worker_t worker;
    int32_t error;
    CHECK_CODE(event_kafka_worker_counters(host.worker, &counted), forked);
    CHECK_CODE(event_kafka_worker_drain(host.worker, 0, NULL), forked);
    CHECK_CODE(event_kafka_worker_close(host.worker, 0, NULL, 0), forked);
    CHECK_CODE(event_kafka_worker_free(host.worker), forked);
    CHECK_CODE(event_kafka_worker_attach(host.area, 0, &worker, NULL, 0),
               forked);
    CHECK_CODE(event_kafka_worker_fatal_error(host.worker, host.socket, &error,
                                              NULL, 0),
               forked);
    CHECK_OK(publish_to(host.area, host.socket, 1));
    CHECK_OK(take_one(host.area, host.socket, 1).error);
    CHECK_OK(event_kafka_area_free(host.area));
    _exit(0);
  }
  int ended;
  CHECK(waitpid(child, &ended, 0) == child);
  CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
  CHECK_OK(publish_to(host.area, host.socket, 2));
  CHECK_OK(take_one(host.area, host.socket, 2).error);
  end_host(host);
}

/* The next batch that is for anybody. */
static uint64_t wait_for_batch(event_kafka_worker_t worker) {
  uint64_t batch = 0;
  int fd;
  CHECK_OK(event_kafka_worker_batch_fd(worker, &fd));
  while (!batch) {
    CHECK(readable(fd, PATIENCE_MS));
    CHECK_OK(event_kafka_worker_next_batch(worker, &batch));
  }
  return batch;
}

static void events_are_made_in_the_lane_and_reported_to_anybody(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "raised?key=param:ip",
                                EVENT_KAFKA_WORKER_REPORTS_RECORDS |
                                    EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY);
  const char *payload = "{\"jsonrpc\":\"2.0\",\"method\":\"E_PIKE_BLOCKED\","
                        "\"params\":{\"ip\":\"192.0.2.1\",\"n\":-7}}";
  event_kafka_param_t params[] = {
      {.name = "ip",
       .name_size = 2,
       .kind = EVENT_KAFKA_PARAM_TEXT,
       .text = "192.0.2.1",
       .text_size = 9},
      {.name = "n",
       .name_size = 1,
       .kind = EVENT_KAFKA_PARAM_INTEGER,
       .integer = -7}};
  event_kafka_event_t event = {.name = "E_PIKE_BLOCKED",
                               .name_size = 14,
                               .params = params,
                               .param_count = 2,
                               .named = 1,
                               .opaque = 11};
  CHECK_OK(event_kafka_area_raise(host.area, host.socket, 7, &event, 0, NULL, 0));
  uint64_t batch = wait_for_batch(host.worker);
  event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
  size_t count;
  CHECK_OK(event_kafka_area_take_batch(host.area, batch, reports,
                                       EVENT_KAFKA_MOST_REPORTS, &count));
  CHECK(count == 1 && reports->opaque == 11 && reports->route == 7);
  CHECK_OK(reports->error);
  CHECK(reports->key_size == 9 && !memcmp(reports->key, "192.0.2.1", 9));
  CHECK(reports->value_size == strlen(payload) &&
        !memcmp(reports->value, payload, reports->value_size));
  /* Once. */
  CHECK_OK(event_kafka_area_take_batch(host.area, batch, reports,
                                       EVENT_KAFKA_MOST_REPORTS, &count));
  CHECK(count == 0);
  end_host(host);
}

static void areas_that_are_none_and_absurd_arguments_are_errors(
    const char *bootstrap) {
  struct host host = start_host(bootstrap, "absurd", 0);
  const int32_t bad = EVENT_KAFKA_ERR_BAD_HANDLE;
  const int32_t invalid = EVENT_KAFKA_ERR_INVALID_ARG;
  event_kafka_area_t none = {0};
  event_kafka_worker_t nobody = {0};
  event_kafka_socket_t socket = {0, 0};
  event_kafka_socket_status_t status;
  event_kafka_worker_counters_t counted;
  event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
  event_kafka_area_sizes_t sizes = {.lanes = 5000};
  char why[128] = "";
  size_t count;
  int fd;
  CHECK_CODE(event_kafka_area_create(&sizes, &none, why, sizeof why), invalid);
  CHECK(strstr(why, "lanes"));
  CHECK_CODE(event_kafka_area_create(NULL, NULL, NULL, 0), invalid);
  CHECK_CODE(event_kafka_area_free(none), bad);
  CHECK_CODE(publish_to(none, host.socket, 1), bad);
  CHECK_CODE(publish_to(host.area, socket, 1), EVENT_KAFKA_ERR_CLOSED);
  CHECK_CODE(event_kafka_area_publish(host.area, host.socket, 7, NULL, 0, NULL,
                                      0),
             invalid);
  event_kafka_message_t one = message("x", 1);
  CHECK_CODE(event_kafka_area_publish_in_place(host.area, host.socket, 7, &one,
                                               1, NULL, NULL, NULL, 0),
             invalid);
  CHECK_CODE(event_kafka_area_publish_in_place(host.area, host.socket, 7, &one,
                                               SIZE_MAX, give_up, NULL, NULL,
                                               0),
             EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE);
  CHECK_CODE(event_kafka_area_subscribe(host.area, NULL, &socket, NULL, 0),
             invalid);
  CHECK_CODE(event_kafka_area_unsubscribe(none, host.socket), bad);
  CHECK_CODE(event_kafka_area_status(none, host.socket, &status), bad);
  CHECK_CODE(event_kafka_area_status(host.area, host.socket, NULL), invalid);
  event_kafka_area_overview_t all;
  event_kafka_socket_change_t change;
  int32_t yes;
  CHECK_CODE(event_kafka_area_overview(none, &all), bad);
  CHECK_CODE(event_kafka_area_overview(host.area, NULL), invalid);
  CHECK_CODE(event_kafka_area_sockets(none, &socket, 1, &count), bad);
  CHECK_CODE(event_kafka_area_sockets(host.area, NULL, 1, &count), invalid);
  CHECK_CODE(event_kafka_area_socket_name(none, host.socket, NULL, 0, NULL, 0),
             bad);
  CHECK_CODE(event_kafka_area_socket_name(
                 host.area, (event_kafka_socket_t){9, 9}, NULL, 0, NULL, 0),
             EVENT_KAFKA_ERR_CLOSED);
  CHECK_CODE(event_kafka_area_take_change(none, 0, &change), bad);
  CHECK_CODE(event_kafka_area_take_change(host.area, 0, NULL), invalid);
  CHECK_CODE(event_kafka_area_may_tell(host.area, socket, socket, NULL),
             invalid);
  CHECK_CODE(event_kafka_worker_change_fd(nobody, &fd), bad);
  CHECK_CODE(event_kafka_worker_have_changed(nobody, &yes), bad);
  CHECK_CODE(event_kafka_area_poll_reports(host.area, reports, 15, &count),
             invalid);
  CHECK_CODE(event_kafka_area_poll_reports(host.area, NULL, 16, &count),
             invalid);
  CHECK_CODE(event_kafka_area_poll_reports(none, reports, 16, &count), bad);
  CHECK_CODE(event_kafka_area_report_fd(none, &fd), bad);
  uint64_t batch;
  CHECK_CODE(event_kafka_area_raise(host.area, host.socket, 7, NULL, 0, NULL, 0),
             invalid);
  event_kafka_param_t wrong = {.kind = 9};
  event_kafka_event_t event = {.params = &wrong, .param_count = 1};
  CHECK_CODE(
      event_kafka_area_raise(host.area, host.socket, 7, &event, 0, NULL, 0),
      invalid);
  event.param_count = 0;
  CHECK_CODE(event_kafka_area_raise(host.area, socket, 7, &event, 0, NULL, 0),
             EVENT_KAFKA_ERR_CLOSED);
  int32_t is_match;
  CHECK_CODE(
      event_kafka_area_sockets_match("h/t", "h/", &is_match, why, sizeof why),
      invalid);
  CHECK_CODE(event_kafka_area_take_batch(host.area, 1, reports, 15, &count),
             invalid);
  CHECK_OK(event_kafka_area_take_batch(host.area, 1, reports, 16, &count));
  CHECK(count == 0);
  CHECK_CODE(event_kafka_worker_next_batch(host.worker, &batch),
             EVENT_KAFKA_ERR_STATE);
  CHECK_CODE(event_kafka_worker_batch_fd(host.worker, &fd),
             EVENT_KAFKA_ERR_STATE);
  CHECK_CODE(event_kafka_worker_next_batch(nobody, &batch), bad);
  CHECK_CODE(event_kafka_worker_attach(host.area, 4, &nobody, NULL, 0), invalid);
  CHECK_CODE(event_kafka_worker_counters(nobody, &counted), bad);
  CHECK_CODE(event_kafka_worker_drain(nobody, 0, NULL), bad);
  CHECK_CODE(event_kafka_worker_close(nobody, 0, NULL, 0), bad);
  CHECK_CODE(event_kafka_worker_free(nobody), bad);
  end_host(host);
  CHECK_CODE(publish_to(host.area, host.socket, 1), bad);
}

static void threads_of_the_library_have_all_signals_blocked(
    const char *bootstrap) {
  event_kafka_producer_t producer = create(bootstrap, NULL, NULL);
  CHECK_OK(publish(topic_of(producer, "signals"), 1, 0));
  CHECK_OK(event_kafka_flush(producer, PATIENCE_MS, NULL));
  struct host host = start_host(bootstrap, "signals?g.linger.ms=1", 0);
  CHECK_OK(publish_to(host.area, host.socket, 1));
  take_one(host.area, host.socket, 1);
  int checked = 0;
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks);
  for (struct dirent *task; (task = readdir(tasks));) {
    char path[300], line[256];
    unsigned long long blocked = 0;
    if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
      continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
      sscanf(line, "SigBlk: %llx", &blocked);
    if (status)
      fclose(status);
    /* SIGHUP, SIGINT, SIGUSR1, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD. */
    const unsigned long long all = 1 << 0 | 1 << 1 | 1 << 9 | 1 << 12 |
                                   1 << 13 | 1 << 14 | 1 << 16;
    CHECK((blocked & all) == all);
    checked++;
  }
  closedir(tasks);
  CHECK(checked >= 3);
  sigset_t mine;
  CHECK(!pthread_sigmask(SIG_BLOCK, NULL, &mine));
  CHECK(!sigismember(&mine, SIGTERM));
  end_host(host);
  end(producer);
}

/* ---- what needs a broker that fences the first producer ---- */

static void a_fatal_error_is_shown(const char *bootstrap) {
  event_kafka_producer_t producer =
      create(bootstrap, "enable.idempotence", "true");
  event_kafka_topic_t topic = topic_of(producer, "fatal");
  int32_t error = 1;
  char why[256] = "";
  CHECK_OK(event_kafka_fatal_error(producer, &error, why, sizeof why));
  CHECK(error == 0 && !*why);
  CHECK_OK(publish(topic, 1, 0));
  event_kafka_report_t report;
  take_all(producer, &report, 1);
  CHECK(!strcmp(report.error_name, "PRODUCER_FENCED"));
  CHECK_OK(event_kafka_fatal_error(producer, &error, why, sizeof why));
  CHECK(error == report.error && *why);
  CHECK_CODE(publish(topic, 2, 0), EVENT_KAFKA_ERR_FATAL);
  CHECK_CODE(publish(topic, 2, 100), EVENT_KAFKA_ERR_FATAL);
  end(producer);
  producer = create(bootstrap, "enable.idempotence", "true");
  CHECK_OK(publish(topic_of(producer, "fatal"), 3, 0));
  take_all(producer, &report, 1);
  CHECK_OK(report.error);
  end(producer);
}

static void a_fatal_error_of_a_socket_is_shown(const char *bootstrap) {
  const char *rest = "fatal?g.enable.idempotence=true";
  struct host host = start_host(bootstrap, rest, 0);
  int32_t error = 1;
  char why[256] = "";
  CHECK_OK(publish_to(host.area, host.socket, 1));
  event_kafka_lane_report_t report = take_one(host.area, host.socket, 1);
  CHECK(!strcmp(report.error_name, "PRODUCER_FENCED"));
  CHECK_OK(event_kafka_worker_fatal_error(host.worker, host.socket, &error, why,
                                          sizeof why));
  CHECK(error == report.error && *why);
  /* The next message gets it another producer. */
  CHECK_OK(publish_to(host.area, host.socket, 2));
  CHECK_OK(take_one(host.area, host.socket, 2).error);
  CHECK_OK(event_kafka_worker_fatal_error(host.worker, host.socket, &error, why,
                                          sizeof why));
  CHECK(error == 0);
  end_host(host);
}

#define CASE(name) {#name, name}

static const struct {
  const char *name;
  void (*run)(const char *bootstrap);
} CASES[] = {
    CASE(every_part_of_a_message_arrives),
    CASE(a_topic_has_one_handle_and_a_name),
    CASE(a_socket_gives_a_producer_and_its_topic),
    CASE(threads_publish_at_once_and_each_message_has_one_report),
    CASE(a_full_queue_is_an_error_at_once_or_after_the_time),
    CASE(a_bounded_wait_ends_with_room_or_with_the_producer),
    CASE(a_descriptor_tells_when_there_is_room),
    CASE(a_descriptor_is_readable_while_reports_wait),
    CASE(a_failure_says_what_happened_and_where),
    CASE(what_is_purged_or_closed_away_has_its_report),
    CASE(lines_of_the_log_are_fetched),
    CASE(null_and_absurd_arguments_are_errors),
    CASE(handles_that_name_nothing_are_errors),
    CASE(a_producer_may_be_freed_while_threads_publish),
    CASE(a_forked_child_is_told_so_and_the_parent_goes_on),
    CASE(a_child_forked_before_the_first_use_is_free),
    CASE(threads_of_the_library_have_all_signals_blocked),
    CASE(a_report_tells_where_a_message_is_and_what_it_was),
    CASE(a_message_may_go_to_another_topic_of_its_socket),
    CASE(an_area_says_how_its_sockets_are),
    CASE(a_socket_is_flushed_without_lingering),
    CASE(a_message_that_is_given_up_never_was),
    CASE(a_socket_is_full_when_its_budget_is_used_up),
    CASE(sockets_come_and_go),
    CASE(a_process_that_takes_no_reports_hinders_itself_alone),
    CASE(a_producer_ends_with_the_last_socket_that_needs_it),
    CASE(an_area_has_one_worker_at_a_time),
    CASE(a_child_of_the_worker_publishes_and_is_no_worker),
    CASE(events_are_made_in_the_lane_and_reported_to_anybody),
    CASE(areas_that_are_none_and_absurd_arguments_are_errors),
    /* From here on, each needs a broker of its own. */
    CASE(a_fatal_error_is_shown),
    CASE(a_fatal_error_of_a_socket_is_shown),
};

enum { ON_THEIR_OWN = 2 };

int main(int argc, char **argv) {
  /* The names of the cases, for the harness to run all of them. */
  const size_t count = sizeof CASES / sizeof *CASES;
  for (size_t n = 0; n < count; n++) {
    if (argc == 1 && n < count - ON_THEIR_OWN)
      puts(CASES[n].name);
    else if (argc == 3 && !strcmp(argv[1], CASES[n].name)) {
      CASES[n].run(argv[2]);
      return 0;
    }
  }
  return argc == 1 ? 0 : 2;
}
