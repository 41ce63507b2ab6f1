/*
 * A server that forks: processes publish, one worker has the producer, and each process is told what
 * became of its messages.
 *
 *   fork SOCKET PROCESSES MESSAGES      fork kafka:127.0.0.1:9092/sip-events 4 10
 *
 * The area is made before anything is forked. A process publishes through a lane of its own, which costs
 * it no system call, and harms nobody if it is killed at any place.
 */

#include <event_kafka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 0, CLOSE_MS = 10000, LOG_LINES = 8 };

static event_kafka_area_t area;
static event_kafka_socket_t sip_events;

static int fail(const char *what, const char *why) {
  fprintf(stderr, "fork: %s: %s\n", what, why);
  return 1;
}

/* ---- the worker ---- */

static void print_log(void) {
  event_kafka_log_line_t lines[LOG_LINES];
  size_t count;
  uint64_t dropped;
  while (event_kafka_poll_log(lines, LOG_LINES, &count, &dropped) ==
             EVENT_KAFKA_OK &&
         count > 0)
    for (size_t n = 0; n < count; n++)
      fprintf(stderr, "log %d: %s\n", (int)lines[n].level, lines[n].text);
}

/* Works until SIGTERM, which the host has blocked. The threads of the library never see it. */
static int work(void) {
  char why[512] = "";
  event_kafka_worker_t worker;
  if (event_kafka_worker_attach(area, 0, &worker, why, sizeof why) !=
      EVENT_KAFKA_OK)
    return fail("worker", why);
  sigset_t term;
  int received;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigwait(&term, &received);
  int failed = 0;
  event_kafka_worker_counters_t counters;
  event_kafka_worker_drain(worker, CLOSE_MS, NULL);
  event_kafka_worker_counters(worker, &counters);
  if (event_kafka_worker_close(worker, CLOSE_MS, why, sizeof why) !=
      EVENT_KAFKA_OK)
    failed = fail("close", why);
  print_log();
  printf("%llu accepted = %llu delivered + %llu failed + %llu held\n",
         (unsigned long long)counters.accepted,
         (unsigned long long)counters.delivered,
         (unsigned long long)counters.failed,
         (unsigned long long)counters.held);
  event_kafka_worker_free(worker);
  return failed;
}

/* ---- a process that publishes ---- */

/* Writes a message where the worker will find it, with no copy in between. */
static size_t write_event(void *number, void *room, size_t room_size) {
  int size = snprintf(room, room_size, "{\"pid\":%d,\"number\":%d}",
                      (int)getpid(), *(int *)number);
  return (size_t)size;
}

static int publish(int number) {
  char why[256] = "";
  event_kafka_message_t message = EVENT_KAFKA_MESSAGE_INIT;
  message.opaque = (uint64_t)number;
  int32_t code = event_kafka_area_publish_in_place(
      area, sip_events, 0, &message, 64, write_event, &number, why, sizeof why);
  if (code == EVENT_KAFKA_OK)
    return 1;
  /* A full lane or socket is refused at once: a SIP server goes on without the event. */
  fail("publish", why);
  return 0;
}

/* How many failed. */
static int take_reports(int *taken) {
  event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
  size_t count;
  int failed = 0;
  if (event_kafka_area_poll_reports(area, reports, EVENT_KAFKA_MOST_REPORTS,
                                    &count) != EVENT_KAFKA_OK)
    return 1;
  for (size_t n = 0; n < count; n++) {
    const event_kafka_lane_report_t *report = &reports[n];
    if (report->error == EVENT_KAFKA_OK) {
      printf("%d: message %llu is at offset %lld of %s, partition %d\n",
             (int)getpid(), (unsigned long long)report->opaque,
             (long long)report->offset, report->topic, (int)report->partition);
    } else {
      fprintf(stderr, "%d: message %llu failed: %s: %s\n", (int)getpid(),
              (unsigned long long)report->opaque, report->error_name,
              report->error_text);
      failed++;
    }
  }
  *taken += (int)count;
  return failed;
}

static int serve(int messages) {
  int fd, published = 0, taken = 0, failed = 0;
  if (event_kafka_area_report_fd(area, &fd) != EVENT_KAFKA_OK)
    return fail("reports", "all lanes are taken");
  for (int n = 0; n < messages; n++)
    published += publish(n);
  while (taken < published) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, -1) > 0)
      failed += take_reports(&taken);
  }
  return failed > 0 || published < messages;
}

/* ---- the host ---- */

/* The one that ended, or -1 if it was not well. */
static pid_t wait_for_one(void) {
  int status;
  pid_t child = wait(&status);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? child : -1;
}

static pid_t fork_worker(void) {
  pid_t worker = fork();
  if (worker == 0)
    exit(work());
  return worker;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: fork SOCKET PROCESSES MESSAGES\n");
    return 2;
  }
  int processes = atoi(argv[2]), messages = atoi(argv[3]), failed = 0;
  char why[512] = "";
  if (event_kafka_area_create(NULL, &area, why, sizeof why) != EVENT_KAFKA_OK)
    return fail("area", why);
  if (event_kafka_area_subscribe(area, argv[1], &sip_events, why,
                                 sizeof why) != EVENT_KAFKA_OK)
    return fail(argv[1], why);
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  pid_t worker = fork_worker();
  if (worker < 0)
    return fail("fork", "no more processes");
  /* Whether the worker is there yet does not matter: lanes hold what is published. */
  for (int n = 0; n < processes; n++) {
    pid_t child = fork();
    if (child == 0)
      exit(serve(messages));
    failed += child < 0;
  }
  for (int n = 0; n < processes; n++) {
    pid_t child = wait_for_one();
    failed += child < 0 || child == worker;
  }
  kill(worker, SIGTERM);
  failed += wait_for_one() < 0;
  event_kafka_area_free(area);
  return failed ? 1 : 0;
}
