/*
 * Publishes each argument to a topic from an event loop, and says what became of it.
 *
 *   publish SOCKET MESSAGE...       publish kafka:127.0.0.1:9092/sip-events INVITE BYE
 *
 * One loop waits for all that a host waits for: reports, room in the queue, lines of the log. A real
 * one never ends; this one ends when everything was published. Nothing here blocks but poll() and, at
 * the end, event_kafka_close().
 */

#include <event_kafka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 0, CLOSE_MS = 10000, MOST_REPORTS = 64, MOST_LINES = 8 };

struct host {
  event_kafka_producer_t producer;
  event_kafka_topic_t topic;
  int report_fd, room_fd, log_fd;
  /* Messages are numbers of arguments: that is what comes back with a report. */
  char **messages;
  int count;
  int published; /* accepted, or refused for good */
  int waits_for_room;
  int failures;
};

static int fail(const char *what, const char *why) {
  fprintf(stderr, "publish: %s: %s\n", what, why);
  return 0;
}

static int start(struct host *host, const char *socket) {
  char why[512] = "";
  if (event_kafka_version() >> 8 != EVENT_KAFKA_VERSION >> 8)
    return fail("libevent_kafka", "another version than that of the header");
  if (event_kafka_create_from_socket(socket, &host->producer, &host->topic, why,
                                     sizeof why) != EVENT_KAFKA_OK)
    return fail(socket, why);
  if (event_kafka_report_fd(host->producer, &host->report_fd) != EVENT_KAFKA_OK ||
      event_kafka_room_fd(host->producer, &host->room_fd) != EVENT_KAFKA_OK ||
      event_kafka_log_fd(&host->log_fd) != EVENT_KAFKA_OK) {
    event_kafka_free(host->producer);
    return fail(socket, "no descriptors to wait at");
  }
  return 1;
}

/* Publishes until all is done or the queue is full: then room_fd tells when to go on. */
static void publish(struct host *host) {
  host->waits_for_room = 0;
  while (host->published < host->count) {
    char why[512] = "";
    const char *text = host->messages[host->published];
    event_kafka_message_t message = EVENT_KAFKA_MESSAGE_INIT;
    message.value = text;
    message.value_size = strlen(text);
    message.opaque = (uint64_t)host->published;
    int32_t code =
        event_kafka_publish(host->topic, &message, AT_ONCE, why, sizeof why);
    if (code == EVENT_KAFKA_ERR_QUEUE_FULL) {
      host->waits_for_room = 1;
      return;
    }
    if (code != EVENT_KAFKA_OK) {
      host->failures++;
      fail(text, why);
    }
    host->published++;
  }
}

static size_t take_reports(struct host *host) {
  static event_kafka_report_t reports[MOST_REPORTS];
  size_t count;
  if (event_kafka_poll_reports(host->producer, reports, MOST_REPORTS, &count) !=
      EVENT_KAFKA_OK)
    return 0;
  for (size_t n = 0; n < count; n++) {
    const event_kafka_report_t *report = &reports[n];
    const char *text = host->messages[report->opaque];
    if (report->error == EVENT_KAFKA_OK) {
      printf("%s is at offset %lld of partition %d\n", text,
             (long long)report->offset, (int)report->partition);
    } else {
      host->failures++;
      fprintf(stderr, "%s failed: %s (%d): %s\n", text, report->error_name,
              (int)report->error, report->error_text);
    }
  }
  return count;
}

static void print_log(void) {
  static event_kafka_log_line_t lines[MOST_LINES];
  size_t count;
  uint64_t dropped;
  if (event_kafka_poll_log(lines, MOST_LINES, &count, &dropped) !=
      EVENT_KAFKA_OK)
    return;
  for (size_t n = 0; n < count; n++)
    fprintf(stderr, "log %d: %s\n", (int)lines[n].level, lines[n].text);
  if (dropped)
    fprintf(stderr, "log: %llu lines were dropped\n",
            (unsigned long long)dropped);
}

static void run(struct host *host) {
  publish(host);
  while (host->published < host->count) {
    struct pollfd fds[] = {
        {.fd = host->report_fd, .events = POLLIN},
        {.fd = host->log_fd, .events = POLLIN},
        /* A negative descriptor is passed over: room matters only to who was refused. */
        {.fd = host->waits_for_room ? host->room_fd : -1, .events = POLLIN},
    };
    if (poll(fds, sizeof fds / sizeof *fds, -1) < 0)
      continue; /* a signal */
    if (fds[0].revents)
      take_reports(host);
    if (fds[1].revents)
      print_log();
    if (fds[2].revents)
      publish(host);
  }
}

static void end(struct host *host) {
  char why[512] = "";
  if (event_kafka_close(host->producer, CLOSE_MS, why, sizeof why) !=
      EVENT_KAFKA_OK)
    fail("close", why);
  /* Now every message has its outcome. */
  while (take_reports(host) > 0)
    ;
  print_log();
  event_kafka_counters_t counters;
  if (event_kafka_counters(host->producer, &counters) == EVENT_KAFKA_OK)
    printf("%llu accepted = %llu delivered + %llu failed + %llu held\n",
           (unsigned long long)counters.accepted,
           (unsigned long long)counters.delivered,
           (unsigned long long)counters.failed,
           (unsigned long long)counters.held);
  event_kafka_free(host->producer);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: publish SOCKET MESSAGE...\n");
    return 2;
  }
  struct host host = {.messages = argv + 2, .count = argc - 2};
  if (!start(&host, argv[1]))
    return 1;
  run(&host);
  end(&host);
  return host.failures ? 1 : 0;
}
