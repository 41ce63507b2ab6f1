/*
 * The process that speaks with Kafka. It takes no part in the core's IPC: that would end it without a
 * word, with messages in its hands. So it is told to end by SIGTERM, and has a loop of its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "module.h"
#include "../../ipc.h"
#include "../../mem/shm_mem.h"

/* What wakes the worker. */
enum wake { WAKE_SIGNAL, WAKE_BATCH, WAKE_LOG, WAKE_CHANGE, WAKES };

/* So many lines of the library's log are passed on in a second, whatever their level; what follows is
 * counted. */
#define LINES_IN_A_SECOND 50

/* How long a job waits that could not be dispatched. */
#define RETRY_MS 100

/* How often changes of sockets are told, so that one that comes and goes makes no storm of events. */
#define NEWS_MS 1000

static event_kafka_worker_t worker;

/* Whether the worker is at work: it began, and has not come to its end. In shared memory. */
static volatile int *is_at_work;

/* A batch that could not be dispatched so far, or 0. */
static uint64_t undispatched;

/* What was blocked before the worker is forked. */
static sigset_t blocked_before;

/* A SIGTERM that comes before the worker waits for it would end it with messages in its lanes. So it is
 * blocked from before the fork on, in the first process, too; there it comes a moment later. */
int kafka_before_worker(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	return sigprocmask(SIG_BLOCK, &term, &blocked_before);
}

int kafka_after_worker(void)
{
	return sigprocmask(SIG_SETMASK, &blocked_before, NULL);
}

/* Signals come by a descriptor, so that none interrupts the library; but for those of crashes, which
 * the core handles. -1: it cannot be. */
static int signals_by_descriptor(void)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	sigset_t blocked, wanted;
	size_t i;

	sigfillset(&blocked);
	for (i = 0; i < sizeof crashes / sizeof *crashes; i++)
		sigdelset(&blocked, crashes[i]);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	if (sigprocmask(SIG_SETMASK, &blocked, NULL) < 0)
		return -1;
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Whether it is time to end: outside of a shutdown, processes of OpenSIPS ignore SIGTERM. */
static int is_end(int fd)
{
	struct signalfd_siginfo signal;

	while (read(fd, &signal, sizeof signal) == sizeof signal)
		;
	return core_is_ending();
}

/* OpenSIPS' level of a line. */
static int level_of(const event_kafka_log_line_t *line)
{
	switch (line->level) {
	case EVENT_KAFKA_LOG_ERROR:
		return L_ERR;
	case EVENT_KAFKA_LOG_WARNING:
		return L_WARN;
	case EVENT_KAFKA_LOG_INFO:
		return L_INFO;
	default:
		return L_DBG;
	}
}

static void log_line(int level, const char *text)
{
	switch (level) {
	case L_ERR:
		LM_ERR("%s\n", text);
		break;
	case L_WARN:
		LM_WARN("%s\n", text);
		break;
	case L_INFO:
		LM_INFO("%s\n", text);
		break;
	default:
		LM_DBG("%s\n", text);
	}
}

/* Whether one more line may be logged now. */
static int may_log(uint64_t *unsaid)
{
	static time_t second;
	static unsigned int lines;
	time_t now = time(NULL);

	if (now != second) {
		second = now;
		lines = 0;
		if (*unsaid)
			LM_WARN("%llu more lines were not logged\n", (unsigned long long)*unsaid);
		*unsaid = 0;
	}
	return lines++ < LINES_IN_A_SECOND;
}

/* Passes the library's log on. */
static void log_lines(void)
{
	static uint64_t unsaid;
	event_kafka_log_line_t lines[16];
	uint64_t dropped;
	size_t count, i;

	do {
		if (event_kafka_poll_log(lines, 16, &count, &dropped))
			return;
		unsaid += dropped;
		for (i = 0; i < count; i++) {
			int level = level_of(&lines[i]);

			if (level > kafka_log_level)
				continue;
			if (may_log(&unsaid))
				log_line(level, lines[i].text);
			else
				unsaid++;
		}
	} while (count == 16);
}

/* Hands batches of reports to whichever process is free. There are never more on their way than the
 * report area has slots, which is less than the core's pipe holds: this does not block. */
static void dispatch(void)
{
	uint64_t batch = undispatched;

	undispatched = 0;
	while (batch || (event_kafka_worker_next_batch(worker, &batch) == EVENT_KAFKA_OK && batch)) {
		if (ipc_dispatch_rpc(kafka_run_reports, (void *)(uintptr_t)batch) < 0) {
			undispatched = batch;
			return;
		}
		batch = 0;
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Whether there are changes of sockets to be told, and when. */
static int are_news;
static int64_t news_due;

static void tell_news(void)
{
	int32_t have_changed = 0;

	if (event_kafka_worker_have_changed(worker, &have_changed) == EVENT_KAFKA_OK && have_changed)
		are_news = 1;
	if (!are_news || now_ms() < news_due)
		return;
	news_due = now_ms() + NEWS_MS;
	if (kafka_dispatch_news() == 0)
		are_news = 0;
}

/* For how long nothing is to be done, in ms; -1: until something happens. */
static int pause_ms(void)
{
	int64_t left = are_news ? news_due - now_ms() : -1;

	if (undispatched)
		return RETRY_MS;
	return left > 0 || !are_news ? (int)left : 0;
}

static void serve(struct pollfd wakes[WAKES])
{
	for (;;) {
		if (poll(wakes, WAKES, pause_ms()) < 0 && errno != EINTR) {
			LM_ERR("poll: %s\n", strerror(errno));
			return;
		}
		log_lines();
		dispatch();
		tell_news();
		if (wakes[WAKE_SIGNAL].revents && is_end(wakes[WAKE_SIGNAL].fd))
			return;
	}
}

/* Delivers what there is, within the time that the core leaves. */
static void end(void)
{
	char lost[KAFKA_TEXT_SIZE];

	if (event_kafka_worker_close(worker, kafka_drain_time, lost, sizeof lost))
		LM_ERR("the end of OpenSIPS: %s\n", lost);
	log_lines();
}

int kafka_init_worker(void)
{
	int *shared = shm_malloc(sizeof *shared);

	if (!shared) {
		LM_ERR("no shared memory for the state of the Kafka worker\n");
		return -1;
	}
	*shared = 0;
	is_at_work = shared;
	return 0;
}

/* In the first process, when all others have ended. The core has said that a child is dead, but not
 * what that means here. */
void kafka_destroy(void)
{
	unsigned long long held;

	if (!is_at_work || !*is_at_work)
		return;
	held = kafka_brokers_held() + kafka_subscriptions_held();
	LM_ERR("the Kafka worker was killed or has crashed: lost are %llu messages that it had taken, and "
		"those that it had not taken yet\n", held);
}

void kafka_worker(int rank)
{
	struct pollfd wakes[WAKES];
	char why[KAFKA_TEXT_SIZE];
	int i;

	(void)rank;
	for (i = 0; i < WAKES; i++)
		wakes[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	keep_log_out_of_events();
	wakes[WAKE_SIGNAL].fd = signals_by_descriptor();
	if (wakes[WAKE_SIGNAL].fd < 0) {
		LM_ERR("cannot wait for signals: %s\n", strerror(errno));
		return;
	}
	if (event_kafka_worker_attach(kafka_area,
			EVENT_KAFKA_WORKER_REPORTS_RECORDS | EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY,
			&worker, why, sizeof why)) {
		LM_ERR("no Kafka worker: %s\n", why);
		return;
	}
	event_kafka_worker_batch_fd(worker, &wakes[WAKE_BATCH].fd);
	event_kafka_log_fd(&wakes[WAKE_LOG].fd);
	event_kafka_worker_change_fd(worker, &wakes[WAKE_CHANGE].fd);
	*is_at_work = 1;
	serve(wakes);
	end();
	*is_at_work = 0;
	/* Not by exit(): the core's handlers are not for a process that has threads. */
	_exit(0);
}
