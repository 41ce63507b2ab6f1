/*
 * Cases in which something is amiss: a cluster that is away, memory that is short, a process that is
 * killed, sockets that are taken away. What the broker has to hold after them, the test says that
 * runs them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "cases.h"
#include "steps.h"

#define AWAY "127.0.0.1:1/nobody?t.message.timeout.ms=1500&g.socket.timeout.ms=1000"

static void brokers(void)
{
	configure("broker_id", with_brokers("[k1]%s/published?g.linger.ms=1"));
	configure("broker_id", "[away]" AWAY);
	host_route("count", count_report);
}

/* What those are told who raise events. */
static int told, told_failed;

static void count_told(void *param, enum evi_status status)
{
	(void)param;
	told++;
	told_failed += status != EVI_STATUS_SUCCESS;
}

static evi_async_ctx_t telling = { count_told, NULL };

static int told_wanted;

static int all_told(void)
{
	return told >= told_wanted;
}

static void wait_until_told(int count)
{
	told_wanted = count;
	CHECK(host_serve_until(all_told));
	CHECK(told == count);
}

/* The worker */

typedef void (*look_at_thread)(const char *folder, void *what);

/* Looks at all threads of the worker. */
static void look_at_threads(look_at_thread look, void *what)
{
	char folder[64], path[400];
	struct dirent *entry;
	DIR *listing;

	snprintf(folder, sizeof folder, "/proc/%d/task", host_module_process());
	listing = opendir(folder);
	CHECK(listing);
	while ((entry = readdir(listing))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s/status", folder, entry->d_name);
		look(path, what);
	}
	closedir(listing);
}

/* The line of a thread's status that begins so, without that. */
static void read_status(const char *path, const char *name, char line[256])
{
	size_t size = strlen(name);
	FILE *status = fopen(path, "r");

	CHECK(status);
	while (fgets(line, 256, status) && strncmp(line, name, size))
		;
	CHECK(!strncmp(line, name, size));
	memmove(line, line + size, strlen(line + size) + 1);
	fclose(status);
}

static void see_whether_stopped(const char *path, void *is_stopped)
{
	char line[256];

	read_status(path, "State:\t", line);
	*(int *)is_stopped &= line[0] == 'T';
}

static int is_worker_stopped(void)
{
	int is_stopped = 1;

	look_at_threads(see_whether_stopped, &is_stopped);
	return is_stopped;
}

static void stop_worker(void)
{
	CHECK(kill(host_module_process(), SIGSTOP) == 0);
	CHECK(host_serve_until(is_worker_stopped));
}

static void resume_worker(void)
{
	CHECK(kill(host_module_process(), SIGCONT) == 0);
}

/* Clusters that are away */

static void away_for_long(void)
{
	evi_reply_sock *sock = parse(AWAY);
	long pieces;
	int i;

	CHECK(sock);
	/* From now on, the name of the route is there. */
	CHECK(publish("k1", "first", NULL, "count") == 1);
	wait_for_reports(1);
	pieces = host_shm_pieces();
	for (i = 0; i < 5000; i++) {
		CHECK(publish("away", "waits", "key", "count") == 1);
		CHECK(raise_for(NULL, sock, "E_WAITS", NULL, 0, NULL) == 0);
	}
	/* All of them wait for the cluster, and none in shared memory. */
	CHECK(reported == 1);
	CHECK(host_shm_pieces() == pieces);
	wait_for_reports(5001);
	CHECK(failed == 5000);
	CHECK(host_shm_pieces() == pieces);
}

/* So many clusters that are away from the start. */
#define DEAD_CLUSTERS 20

static void all_dead(void)
{
	char text[128];
	int i;

	for (i = 0; i < DEAD_CLUSTERS; i++) {
		snprintf(text, sizeof text, "[d%d]127.0.0.1:%d/t?t.message.timeout.ms=1500", i, i + 1);
		configure("broker_id", text);
	}
	host_route("count", count_report);
}

static void dead_from_the_start(void)
{
	char id[16];
	int i;

	for (i = 0; i < DEAD_CLUSTERS; i++) {
		snprintf(id, sizeof id, "d%d", i);
		CHECK(publish(id, "lost", NULL, "count") == 1);
	}
	wait_for_reports(DEAD_CLUSTERS);
	CHECK(failed == DEAD_CLUSTERS);
}

static void small_and_away(void)
{
	configure("broker_id", "[full]127.0.0.1:1/nobody?"
		"g.queue.buffering.max.messages=100&t.message.timeout.ms=5000");
	brokers();
}

static int of_the_living;

static void count_the_living(struct sip_msg *msg)
{
	(void)msg;
	/* Before any of those that were published before it, to a cluster that is away. */
	CHECK(reported == 0);
	of_the_living++;
}

static int are_all_of_the_living_there(void)
{
	return of_the_living == 100;
}

static void full_beside_others(void)
{
	int i, taken = 0;

	host_route("living", count_the_living);
	for (i = 0; i < 20000; i++)
		taken += publish("full", "waits", NULL, "count") == 1;
	CHECK(taken < 20000);
	for (i = 0; i < 100; i++)
		CHECK(publish("k1", "living", NULL, "living") == 1);
	CHECK(host_serve_until(are_all_of_the_living_there));
	wait_for_reports(taken);
	CHECK(failed == taken);
}

/* Subscriptions that go away */

static void left_with_messages(void)
{
	evi_reply_sock *left = parse(with_brokers("%s/events?g.linger.ms=0")), *next;
	long pieces = host_shm_pieces();
	int i;

	CHECK(left);
	/* Until it goes on, nothing has left the lane. */
	stop_worker();
	for (i = 0; i < 100; i++)
		CHECK(raise_for(NULL, left, "E_LEFT", NULL, 0, &telling) == 0);
	host_transport()->free(left);
	next = parse(with_brokers("%s/second?g.linger.ms=0"));
	CHECK(next);
	CHECK(raise_for(NULL, next, "E_NEXT", NULL, 0, &telling) == 0);
	resume_worker();
	wait_until_told(101);
	CHECK(told_failed == 0);
	CHECK(host_shm_pieces() == pieces);
	host_transport()->free(next);
}

static void left_while_away(void)
{
	evi_reply_sock *left = parse("127.0.0.1:1/nobody?t.message.timeout.ms=5000");
	int i;

	CHECK(left);
	for (i = 0; i < 10; i++)
		CHECK(raise_for(NULL, left, "E_LEFT", NULL, 0, &telling) == 0);
	host_transport()->free(left);
	for (i = 0; i < 100; i++)
		CHECK(publish("k1", "goes on", NULL, "count") == 1);
	wait_for_reports(100);
	CHECK(failed == 0);
	/* The others hinder nobody, and are not forgotten. */
	CHECK(told == 0);
	wait_until_told(10);
	CHECK(told_failed == 10);
}

static void many_sockets(void)
{
	/* The worker takes its time to let those go that nobody uses any more. */
	configure("sockets", "4096");
}

/* So many processes, each of which subscribes and unsubscribes so often. */
#define SUBSCRIBERS 4
#define SUBSCRIPTIONS 300

static void subscribe_and_leave(void)
{
	evi_reply_sock *socks[3] = { NULL };
	char text[256];
	int i;

	for (i = 0; i < SUBSCRIPTIONS; i++) {
		evi_reply_sock **sock = &socks[i % 3];

		if (*sock)
			host_transport()->free(*sock);
		/* Some are those of others, too, and some are not. */
		snprintf(text, sizeof text, "%s/events?header.number=%d", host_bootstrap,
			i % 10 ? i % 7 : (int)getpid());
		*sock = parse(text);
		CHECK(*sock);
	}
	for (i = 0; i < 3; i++)
		host_transport()->free(socks[i]);
}

static void many_subscribe(void)
{
	evi_reply_sock *sock;
	long pieces = host_shm_pieces();

	CHECK(host_in_processes(SUBSCRIBERS, subscribe_and_leave) == 0);
	CHECK(host_shm_pieces() == pieces);
	sock = parse(with_brokers("%s/events?header.number=1"));
	CHECK(sock);
	CHECK(raise_for(NULL, sock, "E_AFTER_ALL", NULL, 0, &telling) == 0);
	wait_until_told(1);
	CHECK(told_failed == 0);
}

/* Descriptors of the worker */

#define MOST_DESCRIPTORS 1024

/* What the worker has open, by number; "" is nothing. */
static void look_at_descriptors(char open[MOST_DESCRIPTORS][64])
{
	char folder[64], path[400];
	struct dirent *entry;
	DIR *listing;

	memset(open, 0, MOST_DESCRIPTORS * sizeof *open);
	snprintf(folder, sizeof folder, "/proc/%d/fd", host_module_process());
	listing = opendir(folder);
	CHECK(listing);
	while ((entry = readdir(listing))) {
		int number = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || number >= MOST_DESCRIPTORS)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (readlink(path, open[number], sizeof open[number] - 1) < 0)
			open[number][0] = '\0';
	}
	closedir(listing);
}

static char before[MOST_DESCRIPTORS][64], now[MOST_DESCRIPTORS][64];

static int are_descriptors_as_before(void)
{
	look_at_descriptors(now);
	return !memcmp(before, now, sizeof before);
}

/* Sockets come and go, each with a producer of its own, but for those whose file is gone when the
 * worker looks. */
static void come_and_go(int round)
{
	char text[256], name[] = "/tmp/testhost-XXXXXX";
	evi_reply_sock *sock;
	int is_bad = round % 3 == 2, file = mkstemp(name);

	CHECK(file >= 0 && close(file) == 0);
	stop_worker();
	snprintf(text, sizeof text, "%s/events?g.linger.ms=%d&header.file=@file:%s",
		host_bootstrap, round % 100, name);
	sock = parse(text);
	CHECK(sock);
	if (is_bad)
		CHECK(unlink(name) == 0);
	CHECK(raise_for(NULL, sock, "E_ROUND", NULL, 0, &telling) == 0);
	resume_worker();
	wait_until_told(round + 1);
	host_transport()->free(sock);
	if (!is_bad)
		CHECK(unlink(name) == 0);
}

static void descriptors(void)
{
	int i;

	/* The producer of broker_id stays, and is connected. */
	CHECK(publish("k1", "first", NULL, "count") == 1);
	wait_for_reports(1);
	look_at_descriptors(before);
	for (i = 0; i < 30; i++)
		come_and_go(i);
	CHECK(told_failed == 10);
	CHECK(host_serve_until(are_descriptors_as_before));
}

/* Signals */

static void and_with_blocked(const char *path, void *all)
{
	unsigned long long blocked;
	char line[256];

	read_status(path, "SigBlk:\t", line);
	CHECK(sscanf(line, "%llx", &blocked) == 1);
	*(unsigned long long *)all &= blocked;
}

/* The signals that no thread of the worker lets through. */
static unsigned long long blocked_signals(void)
{
	unsigned long long all = ~0ull;

	look_at_threads(and_with_blocked, &all);
	return all;
}

static void signals_are_blocked(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD,
		SIGPIPE };
	unsigned long long blocked;
	size_t i;

	/* With a producer, and so with all threads. */
	CHECK(publish("k1", "first", NULL, "count") == 1);
	wait_for_reports(1);
	blocked = blocked_signals();
	for (i = 0; i < sizeof signals / sizeof *signals; i++)
		CHECK(blocked & 1ull << (signals[i] - 1));
}

/* Shared memory that is short */

static const char *wanted;
static int came;

static void wait_for_wanted(struct sip_msg *msg)
{
	count_report(msg);
	came = !strcmp(host_avp("kafka_msg"), wanted);
}

static int has_come(void)
{
	return came;
}

static void wait_for(const char *message)
{
	wanted = message;
	came = 0;
	CHECK(publish("k1", message, "key", "wanted") == 1);
	CHECK(host_serve_until(has_come));
}

static void subscribe_where_memory_is_short(void)
{
	long pieces = host_shm_pieces();
	int refused = 0;

	for (;; refused++) {
		evi_reply_sock *sock;

		host_refuse_piece(refused);
		sock = parse(with_brokers("%s/events"));
		if (!host_has_refused()) {
			CHECK(sock);
			host_refuse_piece(-1);
			host_transport()->free(sock);
			break;
		}
		CHECK(!sock);
		CHECK(host_shm_pieces() == pieces);
	}
	CHECK(refused == 2);
	CHECK(host_shm_pieces() == pieces);
}

static void raise_where_memory_is_short(void)
{
	evi_reply_sock *sock = parse(with_brokers("%s/events?g.linger.ms=0"));
	long pieces = host_shm_pieces();

	CHECK(sock);
	host_refuse_piece(0);
	CHECK(raise_for(NULL, sock, "E_REFUSED", NULL, 0, &telling) == -1);
	CHECK(host_has_refused());
	CHECK(host_shm_pieces() == pieces);
	CHECK(raise_for(NULL, sock, "E_TAKEN", NULL, 0, &telling) == 0);
	wait_until_told(1);
	CHECK(host_shm_pieces() == pieces);
}

static void report_where_memory_is_short(void)
{
	long pieces;
	int number;

	host_route("wanted", wait_for_wanted);
	wait_for("the first");
	pieces = host_shm_pieces();
	/* A report has nine AVPs. */
	for (number = 0; number < 9; number++) {
		reported = 0;
		CHECK(publish("k1", "refused", "key", "wanted") == 1);
		host_refuse_piece(number);
		wait_for("the next");
		CHECK(host_has_refused());
		CHECK(reported == 1);
		CHECK(host_shm_pieces() == pieces);
		CHECK(host_dummies() == 0);
	}
	reported = 0;
	CHECK(publish("k1", "without message", "key", "wanted") == 1);
	host_refuse_dummies(1);
	wait_for("the next");
	CHECK(reported == 1);
	CHECK(host_shm_pieces() == pieces);
	CHECK(host_dummies() == 0);
}

static void dispatch_where_the_pipe_is_full(void)
{
	int i;

	host_refuse_jobs(5);
	for (i = 0; i < 100; i++)
		CHECK(publish("k1", "reported", NULL, "count") == 1);
	reported = 0;
	wait_for_reports(100);
	CHECK(host_refused_jobs_left() == 0);
}

static void memory_is_short(void)
{
	subscribe_where_memory_is_short();
	raise_where_memory_is_short();
	report_where_memory_is_short();
	dispatch_where_the_pipe_is_full();
}

static void no_memory_for_routes(void)
{
	brokers();
	host_refuse_piece(0);
}

static void no_memory_for_worker(void)
{
	brokers();
	host_refuse_piece(1);
}

static void no_memory_for_subscriptions(void)
{
	brokers();
	host_refuse_piece(2);
}

/* Processes that are killed */

static void kill_worker(void)
{
	evi_reply_sock *sock;
	int i;

	CHECK(publish("k1", "before", NULL, "count") == 1);
	wait_for_reports(1);
	CHECK(host_kill_module_process());
	/* Nobody is there, and nobody waits. */
	sock = parse(with_brokers("%s/events?g.linger.ms=0"));
	CHECK(sock);
	for (i = 0; i < 1000; i++) {
		CHECK(publish("k1", "meanwhile", NULL, "count") == 1);
		CHECK(raise_for(NULL, sock, "E_MEANWHILE", NULL, 0, &telling) == 0);
	}
	/* What lies in the lane is whole. */
	host_start_module_process();
	wait_for_reports(1001);
	CHECK(failed == 0);
	told_wanted = 1000;
	CHECK(host_serve_until(all_told));
	CHECK(told == 1000 && told_failed == 0);
}

static void small_lane(void)
{
	configure("lane_size", "65536");
	brokers();
}

static void killed_and_not_replaced(void)
{
	int i, taken = 0;

	CHECK(publish("k1", "before", NULL, "count") == 1);
	wait_for_reports(1);
	CHECK(host_kill_module_process());
	/* As long as there is room, and then at once no more. */
	for (i = 0; i < 100000; i++)
		taken += publish("k1", "meanwhile", NULL, "count") == 1;
	CHECK(taken > 100 && taken < 65536 / 16);
	host_start_module_process();
	wait_for_reports(1 + taken);
}

/* Producers that fail for good */

static void idempotent(void)
{
	configure("broker_id", with_brokers("[once]%s/published?g.enable.idempotence=true"));
	host_route("count", count_report);
}

static void in_doubt(void)
{
	char message[16];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(message, sizeof message, "%d", i);
		CHECK(publish("once", message, NULL, "count") == 1);
	}
	wait_for_reports(100);
	CHECK(failed == 0);
}

static void failed_for_good(void)
{
	/* Of the same producer. */
	evi_reply_sock *sock = parse(with_brokers("%s/events?g.enable.idempotence=true"));
	int tries = 0;

	CHECK(sock);
	CHECK(publish("once", "lost", NULL, "count") == 1);
	wait_for_reports(1);
	CHECK(failed == 1);
	/* Another producer takes its place, without anybody's doing. */
	while (reported == failed) {
		usleep(50000);
		CHECK(++tries < 600);
		CHECK(publish("once", "later", NULL, "count") == 1);
		wait_for_reports(reported + 1);
	}
	told = told_failed = 0;
	CHECK(raise_for(NULL, sock, "E_LATER", NULL, 0, &telling) == 0);
	wait_until_told(1);
	CHECK(told_failed == 0);
}

const struct host_case host_troubles[] = {
	{ "away_for_long", brokers, away_for_long, 1 },
	{ "dead_from_the_start", all_dead, dead_from_the_start, 1 },
	{ "full_beside_others", small_and_away, full_beside_others, 1 },
	{ "left_with_messages", NULL, left_with_messages, 1 },
	{ "left_while_away", brokers, left_while_away, 1 },
	{ "many_subscribe", many_sockets, many_subscribe, 1 },
	{ "descriptors", brokers, descriptors, 1 },
	{ "signals_are_blocked", brokers, signals_are_blocked, 1 },
	{ "memory_is_short", brokers, memory_is_short, 1 },
	{ "no_memory_for_routes", no_memory_for_routes, NULL, 0 },
	{ "no_memory_for_worker", no_memory_for_worker, NULL, 0 },
	{ "no_memory_for_subscriptions", no_memory_for_subscriptions, NULL, 0 },
	{ "kill_worker", brokers, kill_worker, 1 },
	{ "killed_and_not_replaced", small_lane, killed_and_not_replaced, 1 },
	{ "in_doubt", idempotent, in_doubt, 1 },
	{ "failed_for_good", idempotent, failed_for_good, 1 },
	{ NULL, NULL, NULL, 0 },
};
