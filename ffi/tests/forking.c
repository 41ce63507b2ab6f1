/*
 * A forking host, as forking.rs runs it: one worker, and writers that publish through lanes and take
 * their reports.
 *
 *   forking SOCKET count WRITERS RECORDS    each writer publishes so many records
 *   forking SOCKET chaos WRITERS SECONDS    they publish until they are told to stop; meanwhile they are
 *                                           killed (and others begin), stopped and continued at random
 *   forking SOCKET outage WRITERS SECONDS   each publishes 1000 records in a second; after so many
 *                                           seconds this says "over", for somebody to start the broker,
 *                                           and goes on until the socket is full no more
 *
 * A record says who wrote it, its number, and how long it is, so that a torn one is recognised. Every
 * writer checks that it gets exactly one report for each record that was taken, and that it is
 * delivered, or, in an outage, timed out. The worker checks its balance at the end.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <event_kafka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 120000, MOST_WRITERS = 64, MOST_FILLER = 200 };

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

#define CHECK_OK(call) CHECK_CODE(call, EVENT_KAFKA_OK)

#define CHECK_CODE(call, code)                                                 \
  do {                                                                         \
    long is = (call), should_be = (code);                                      \
    if (is != should_be) {                                                     \
      fprintf(stderr, "%s:%d: %s is %ld, not %ld\n", __FILE__, __LINE__,       \
              #call, is, should_be);                                           \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

static event_kafka_area_t area;
static event_kafka_socket_t sip_events;
static int is_outage;

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

/* ---- the worker ---- */

static void print_log(void) {
  event_kafka_log_line_t lines[8];
  size_t count;
  uint64_t dropped;
  do {
    CHECK_OK(event_kafka_poll_log(lines, 8, &count, &dropped));
    for (size_t n = 0; n < count; n++)
      fprintf(stderr, "worker: %s\n", lines[n].text);
  } while (count);
}

/* Works until SIGTERM comes, which is blocked. */
static void work(int ready) {
  event_kafka_worker_t worker;
  char text[512] = "";
  int32_t code = event_kafka_worker_attach(area, 0, &worker, text, sizeof text);
  if (code)
    fprintf(stderr, "worker: %s\n", text);
  CHECK_OK(code);
  CHECK(write(ready, "", 1) == 1);
  close(ready);
  sigset_t term;
  int signal;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  CHECK(!sigwait(&term, &signal));
  uint64_t remaining;
  CHECK_OK(event_kafka_worker_drain(worker, PATIENCE_MS, &remaining));
  CHECK(remaining == 0);
  event_kafka_socket_status_t status;
  CHECK_OK(event_kafka_area_status(area, sip_events, &status));
  event_kafka_worker_counters_t counters;
  CHECK_OK(event_kafka_worker_counters(worker, &counters));
  CHECK_OK(event_kafka_worker_close(worker, PATIENCE_MS, text, sizeof text));
  CHECK_OK(event_kafka_worker_close(worker, PATIENCE_MS, text, sizeof text));
  print_log();
  CHECK_OK(event_kafka_worker_free(worker));
  CHECK_CODE(event_kafka_worker_free(worker), EVENT_KAFKA_ERR_BAD_HANDLE);
  printf("%llu taken, %llu accepted, %llu delivered, %llu failed, %llu held, "
         "%llu refused, %llu reported, %llu orphaned, %llu parked, %llu "
         "malformed, %llu broken, %llu reclaimed, %llu naps\n",
         (unsigned long long)counters.taken,
         (unsigned long long)counters.accepted,
         (unsigned long long)counters.delivered,
         (unsigned long long)counters.failed, (unsigned long long)counters.held,
         (unsigned long long)counters.refused,
         (unsigned long long)counters.reported,
         (unsigned long long)counters.orphaned,
         (unsigned long long)counters.parked,
         (unsigned long long)counters.malformed,
         (unsigned long long)counters.broken,
         (unsigned long long)counters.reclaimed,
         (unsigned long long)counters.naps);
  fflush(stdout);
  CHECK(counters.accepted == counters.delivered + counters.failed);
  CHECK(counters.taken == counters.accepted);
  CHECK(counters.failed == 0 || is_outage);
  CHECK(counters.held == 0 && counters.parked == 0);
  CHECK(counters.malformed == 0 && counters.broken == 0);
  CHECK(counters.reported + counters.orphaned == counters.taken);
  CHECK(status.accepted == counters.accepted && status.held == 0);
  CHECK(status.delivered == counters.delivered);
  CHECK(status.failed == counters.failed);
}

/* ---- the writers ---- */

static volatile sig_atomic_t is_to_stop;

static void stop(int signal) {
  (void)signal;
  is_to_stop = 1;
}

struct writer {
  unsigned id;
  int fd;
  uint64_t taken, reported, timed_out, refused;
  /* One byte for each record that was taken: how many reports it had. */
  unsigned char *reports;
  size_t room;
};

static size_t record_text(const struct writer *writer, char *text) {
  unsigned number = (unsigned)writer->taken;
  unsigned filler = (number * 7919 + writer->id) % MOST_FILLER;
  int head = sprintf(text, "%u:%u:%u:", writer->id, number, filler);
  memset(text + head, 'a' + (char)(number % 26), filler);
  return (size_t)head + filler;
}

static size_t write_in_place(void *context, void *room, size_t room_size) {
  char text[MOST_FILLER + 64];
  size_t size = record_text(context, text);
  if (size > room_size)
    return (size_t)-1;
  memcpy(room, text, size);
  return size;
}

static size_t take_reports(struct writer *writer) {
  event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
  size_t count;
  CHECK_OK(event_kafka_area_poll_reports(area, reports,
                                         EVENT_KAFKA_MOST_REPORTS, &count));
  for (size_t n = 0; n < count; n++) {
    const event_kafka_lane_report_t *report = &reports[n];
    if (is_outage && report->error == EVENT_KAFKA_ERR_MSG_TIMED_OUT) {
      writer->timed_out++;
    } else if (report->error) {
      fprintf(stderr, "writer %u, record %llu: %s: %s\n", writer->id,
              (unsigned long long)report->opaque, report->error_name,
              report->error_text);
      CHECK_CODE(report->error, EVENT_KAFKA_OK);
    } else {
      CHECK(report->offset >= 0 && report->partition >= 0);
    }
    CHECK(report->route == writer->id);
    CHECK(report->socket.slot == sip_events.slot &&
          report->socket.generation == sip_events.generation);
    CHECK(report->opaque < writer->taken);
    CHECK(writer->reports[report->opaque]++ == 0);
    writer->reported++;
  }
  return count;
}

/* Takes the reports that are there; if there are none, waits for them for a while. */
static void wait_for_reports(struct writer *writer, int timeout_ms) {
  struct pollfd fd = {.fd = writer->fd, .events = POLLIN};
  if (!take_reports(writer) && poll(&fd, 1, timeout_ms) > 0)
    take_reports(writer);
}

static int publish(struct writer *writer, char *why, size_t why_size) {
  char text[MOST_FILLER + 64], key[16];
  event_kafka_message_t message = EVENT_KAFKA_MESSAGE_INIT;
  message.key = key;
  message.key_size = (size_t)sprintf(key, "%u", writer->id);
  message.opaque = writer->taken;
  if (writer->taken % 2)
    return event_kafka_area_publish_in_place(
        area, sip_events, writer->id, &message, MOST_FILLER + 32,
        write_in_place, writer, why, why_size);
  message.value = text;
  message.value_size = record_text(writer, text);
  return event_kafka_area_publish(area, sip_events, writer->id, &message, 0,
                                  why, why_size);
}

static void write_records(unsigned id, uint64_t most) {
  struct sigaction action = {.sa_handler = stop};
  sigset_t term;
  CHECK(!sigaction(SIGTERM, &action, NULL));
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  CHECK(!sigprocmask(SIG_UNBLOCK, &term, NULL));
  struct writer writer = {.id = id};
  int code;
  /* Lanes of dead processes are free again once the worker has emptied them. */
  while ((code = event_kafka_area_report_fd(area, &writer.fd)) ==
             EVENT_KAFKA_ERR_SYSTEM &&
         !is_to_stop)
    pause_ms(5);
  if (is_to_stop)
    return;
  CHECK_OK(code);
  long start = now_ms();
  while (writer.taken < most && !is_to_stop) {
    if (writer.taken == writer.room) {
      size_t room = writer.room ? 2 * writer.room : 4096;
      CHECK(writer.reports = realloc(writer.reports, room));
      memset(writer.reports + writer.room, 0, room - writer.room);
      writer.room = room;
    }
    if (is_outage &&
        (long)(writer.taken + writer.refused) > now_ms() - start) {
      wait_for_reports(&writer, 1);
      continue;
    }
    char why[128];
    code = publish(&writer, why, sizeof why);
    if (code == EVENT_KAFKA_ERR_QUEUE_FULL) {
      /* The socket may be full then, and the lane never. */
      CHECK(!is_outage || strstr(why, "the socket has"));
      writer.refused++;
      if (!is_outage)
        wait_for_reports(&writer, 5);
      continue;
    }
    CHECK_CODE(code, EVENT_KAFKA_OK);
    writer.taken++;
    if (writer.taken % 64 == 0)
      take_reports(&writer);
  }
  long deadline = now_ms() + PATIENCE_MS;
  while (writer.reported < writer.taken) {
    if (now_ms() > deadline)
      fprintf(stderr, "writer %u: %llu of %llu reports came\n", id,
              (unsigned long long)writer.reported,
              (unsigned long long)writer.taken);
    CHECK(now_ms() <= deadline);
    wait_for_reports(&writer, 1000);
  }
  /* Nothing comes twice. */
  CHECK(take_reports(&writer) == 0);
  for (uint64_t n = 0; n < writer.taken; n++)
    CHECK(writer.reports[n] == 1);
  free(writer.reports);
  if (is_outage)
    printf("writer %u: %llu taken and reported, %llu of them timed out; %llu "
           "refused\n",
           id, (unsigned long long)writer.taken,
           (unsigned long long)writer.timed_out,
           (unsigned long long)writer.refused);
  fflush(stdout);
}

/* ---- the host ---- */

/* A child that ends with the host, be it that a check fails there. */
static pid_t fork_child(void) {
  pid_t host = getpid(), child = fork();
  CHECK(child >= 0);
  if (!child) {
    CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
    if (getppid() != host)
      _exit(1);
  }
  return child;
}

static pid_t begin_writer(unsigned id, uint64_t most) {
  pid_t child = fork_child();
  if (!child) {
    write_records(id, most);
    _exit(0);
  }
  return child;
}

static int ended_well(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0)
    CHECK(errno == EINTR);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void chaos(int count, long seconds, unsigned seed) {
  pid_t writers[MOST_WRITERS];
  char is_stopped[MOST_WRITERS] = {0};
  unsigned next_id = 0;
  int kills = 0, stops = 0;
  for (int n = 0; n < count; n++)
    writers[n] = begin_writer(next_id++, UINT64_MAX);
  long end = now_ms() + seconds * 1000;
  srandom(seed);
  while (now_ms() < end) {
    int n = (int)(random() % count);
    if (random() % 2) {
      CHECK(!kill(writers[n], is_stopped[n] ? SIGCONT : SIGSTOP));
      is_stopped[n] = !is_stopped[n];
      stops++;
    } else {
      CHECK(!kill(writers[n], SIGKILL));
      CHECK(!ended_well(writers[n]));
      writers[n] = begin_writer(next_id++, UINT64_MAX);
      is_stopped[n] = 0;
      kills++;
    }
    pause_ms(random() % 100);
  }
  for (int n = 0; n < count; n++) {
    CHECK(!kill(writers[n], SIGTERM));
    CHECK(!kill(writers[n], SIGCONT));
  }
  int failed = 0;
  for (int n = 0; n < count; n++)
    failed += !ended_well(writers[n]);
  printf("%d kills, %d stops and continuations\n", kills, stops);
  CHECK(failed == 0);
  CHECK(kills > 0 && stops > 0);
}

static long peak_kib(pid_t process) {
  char path[64], line[256];
  long kib = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)process);
  FILE *status = fopen(path, "r");
  CHECK(status);
  while (fgets(line, sizeof line, status))
    sscanf(line, "VmHWM: %ld", &kib);
  fclose(status);
  return kib;
}

static int state(void) {
  event_kafka_socket_status_t status;
  CHECK_OK(event_kafka_area_status(area, sip_events, &status));
  CHECK(status.accepted == status.delivered + status.failed + status.held);
  return status.state;
}

static void outage(int count, long seconds, pid_t worker) {
  pid_t writers[MOST_WRITERS];
  long start = now_ms(), full_after = 0;
  for (int n = 0; n < count; n++)
    writers[n] = begin_writer((unsigned)n, UINT64_MAX);
  while (now_ms() < start + seconds * 1000) {
    if (!full_after && state() == EVENT_KAFKA_SOCKET_FULL)
      full_after = now_ms() - start;
    pause_ms(10);
  }
  CHECK(full_after);
  printf("full after %ld ms\nover\n", full_after);
  fflush(stdout);
  while (state() != EVENT_KAFKA_SOCKET_OPEN) {
    CHECK(now_ms() < start + seconds * 1000 + PATIENCE_MS);
    pause_ms(10);
  }
  printf("open again after %ld ms\n", now_ms() - start);
  int failed = 0;
  for (int n = 0; n < count; n++)
    CHECK(!kill(writers[n], SIGTERM));
  for (int n = 0; n < count; n++)
    failed += !ended_well(writers[n]);
  CHECK(failed == 0);
  printf("the worker took %ld KiB at most\n", peak_kib(worker));
  fflush(stdout);
}

static void count_records(int count, uint64_t most) {
  pid_t writers[MOST_WRITERS];
  for (int n = 0; n < count; n++)
    writers[n] = begin_writer((unsigned)n, most);
  int failed = 0;
  for (int n = 0; n < count; n++)
    failed += !ended_well(writers[n]);
  CHECK(failed == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 5);
  char text[512] = "";
  int count = atoi(argv[3]);
  CHECK(count > 0 && count <= MOST_WRITERS);
  is_outage = !strcmp(argv[2], "outage");
  CHECK_OK(event_kafka_area_create(NULL, &area, text, sizeof text));
  int32_t code = event_kafka_area_subscribe(area, argv[1], &sip_events, text,
                                            sizeof text);
  if (code)
    fprintf(stderr, "%s\n", text);
  CHECK_OK(code);
  sigset_t term;
  int ready[2];
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  CHECK(!sigprocmask(SIG_BLOCK, &term, NULL));
  CHECK(!pipe(ready));
  pid_t worker = fork_child();
  if (!worker) {
    close(ready[0]);
    work(ready[1]);
    return 0;
  }
  close(ready[1]);
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  if (!strcmp(argv[2], "chaos"))
    chaos(count, atol(argv[4]), (unsigned)getpid());
  else if (is_outage)
    outage(count, atol(argv[4]), worker);
  else
    count_records(count, strtoull(argv[4], NULL, 10));
  CHECK(!kill(worker, SIGTERM));
  CHECK(ended_well(worker));
  CHECK_OK(event_kafka_area_free(area));
  CHECK_CODE(event_kafka_area_free(area), EVENT_KAFKA_ERR_BAD_HANDLE);
  return 0;
}
