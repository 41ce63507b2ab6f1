/*
 * The cases. What the broker has to hold after them, the test says that runs them.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "steps.h"

/* Publishing */

static void publishing(void)
{
	configure("broker_id", with_brokers("[k1]%s/published?g.linger.ms=1"));
	configure("broker_id", with_brokers(" [second] %s/second"));
	host_route("count", count_report);
}

static void without_key_and_route(void)
{
	CHECK(publish("k1", "alone", NULL, NULL) == 1);
	CHECK(publish("k1", "keyed", "call", NULL) == 1);
	CHECK(publish("k1", "routed", NULL, "count") == 1);
	CHECK(publish("k1", "", "empty", "count") == 1);
	CHECK(publish("k1", "empty key", "", "count") == 1);
	CHECK(publish_by_variables("second", "elsewhere") == 1);
	wait_for_reports(3);
}

static int publish_ex(const char *topic, const char *message, const char *names,
	const char *values, const char *partition, const char *route)
{
	const char *const arguments[8] = {
		"k1", topic, message, "call", names, values, partition, route
	};

	return host_call("kafka_publish_ex", arguments);
}

static void in_another_topic(struct sip_msg *msg)
{
	(void)msg;
	SAYS("kafka_id", "k1");
	SAYS("kafka_status", "0");
	SAYS("kafka_topic", "another");
	SAYS("kafka_partition", "0");
	reported++;
}

static void with_all_that_a_message_has(void)
{
	const char *const only_id[8] = { "k1" };
	int i;

	host_add_avp("names", "first", 0);
	host_add_avp("values", "1", 0);
	host_add_avp("names", "second", 0);
	host_add_avp("values", NULL, -42);
	host_route("another", in_another_topic);
	CHECK(publish_ex("another", "whole", "names", "values", "0", "another") == 1);
	wait_for_reports(1);
	/* What is left out: a tombstone, headers without values, any partition. */
	CHECK(publish_ex("another", NULL, "names", NULL, "-1", NULL) == 1);
	CHECK(publish_ex(NULL, "", "none", "none", NULL, NULL) == 1);
	CHECK(host_call("kafka_publish_ex", only_id) == 1);
	/* What makes no message. */
	host_add_avp("names", "without value", 0);
	CHECK(publish_ex(NULL, "x", "names", "values", NULL, NULL) == -1);
	CHECK(publish_ex(NULL, "x", "none", "values", NULL, NULL) == -1);
	CHECK(publish_ex(NULL, "x", NULL, NULL, "-2", NULL) == -1);
	CHECK(publish_ex("no topic", "x", NULL, NULL, NULL, NULL) == -1);
	CHECK(publish_ex("", "x", NULL, NULL, NULL, NULL) == -1);
	for (i = 0; i < 65; i++)
		host_add_avp("many", "header", 0);
	CHECK(publish_ex(NULL, "x", "many", NULL, NULL, NULL) == -1);
	/* One that no topic has fails, and is told. */
	CHECK(publish_ex(NULL, "x", NULL, NULL, "1000", "count") == 1);
	wait_for_reports(2);
	CHECK(failed == 1);
}

static void headers_without_values(void)
{
	host_add_avp("names", "first", 0);
	host_add_avp("names", "second", 0);
	host_add_avp("values", "1", 0);
	host_add_null("values");
	CHECK(publish_ex(NULL, "null", "names", "values", NULL, NULL) == 1);
	/* A name has to be there. */
	host_add_null("names");
	host_add_avp("values", "3", 0);
	CHECK(publish_ex(NULL, "x", "names", "values", NULL, NULL) == -1);
	CHECK(publish_ex(NULL, "x", "names", NULL, NULL, NULL) == -1);
	/* What is not all values of an AVP is no list. */
	CHECK(publish_ex(NULL, "x", "#names", NULL, NULL, NULL) == HOST_NO_START);
	CHECK(publish_ex(NULL, "x", "names", "[1]values", NULL, NULL) == HOST_NO_START);
	CHECK(publish_ex(NULL, "x", "{names}", NULL, NULL, NULL) == HOST_NO_START);
}

static void told_where_it_was_for(struct sip_msg *msg)
{
	const char *was_for = strdupa(host_avp("kafka_msg"));

	SAYS("kafka_id", "k1");
	SAYS("kafka_error_code", "-190");
	SAYS("kafka_partition", "7");
	/* The message says so, too. */
	SAYS("kafka_topic", was_for);
	count_report(msg);
}

/* Both topics are known by then, so that the worker refuses the messages at once. */
static void no_such_partition(void)
{
	CHECK(publish_ex(NULL, "known", NULL, NULL, "0", "count") == 1);
	CHECK(publish_ex("second", "known", NULL, NULL, "0", "count") == 1);
	wait_for_reports(2);
	host_route("where", told_where_it_was_for);
	CHECK(publish_ex("second", "second", NULL, NULL, "7", "where") == 1);
	CHECK(publish_ex(NULL, "published", NULL, NULL, "7", "where") == 1);
	wait_for_reports(4);
	CHECK(failed == 2);
}

static void away(void)
{
	publishing();
	configure("broker_id", "[away]" DEAD "/nobody?t.message.timeout.ms=60000");
	configure("drain_time", "100");
}

static void has_a_name_too_many(struct sip_msg *msg)
{
	SAYS("kafka_id", "away");
	SAYS("kafka_error_code", "-186");
	CHECK(strstr(host_avp("kafka_error"), "256 topics"));
	CHECK(!strncmp(host_avp("kafka_topic"), "careless-", 9));
	count_report(msg);
}

#define NAMED 300

/* Messages with the first 256 names wait for a cluster that is away; the others have their reports, and
 * other sockets go on. */
static void careless_topics(void)
{
	char name[32];
	const char *arguments[8] = { "away", name, "x", NULL, NULL, NULL, NULL, "too many" };
	int i;

	host_route("too many", has_a_name_too_many);
	for (i = 0; i < NAMED; i++) {
		snprintf(name, sizeof name, "careless-%d", i);
		CHECK(host_call_by_variables("kafka_publish_ex", arguments) == 1);
	}
	wait_for_reports(NAMED - 256);
	CHECK(publish("k1", "living", NULL, "count") == 1);
	wait_for_reports(NAMED - 256 + 1);
}

static void nothing_else(struct sip_msg *msg)
{
	(void)msg;
	SAYS("kafka_id", "k1");
	SAYS("kafka_status", "0");
	SAYS("kafka_key", "call");
	SAYS("kafka_msg", "INVITE");
	SAYS("kafka_topic", "published");
	SAYS("kafka_error_code", "0");
	SAYS("kafka_error", "(none)");
	CHECK(strcmp(host_avp("kafka_partition"), "(none)"));
	SAYS("kafka_offset", "0");
	CHECK(atoi(host_avp("kafka_latency_ms")) >= 0);
	CHECK(strcmp(host_avp("kafka_latency_ms"), "(none)"));
	SAYS("other", "(none)");
	reported++;
}

static void reports_have_all(void)
{
	long before;
	int_str value = { .s = str_init("of the caller") };
	const str name = str_init("other");
	struct usr_avp *mine, **list = &mine, **others;
	int id;

	CHECK(parse_avp_spec(&name, &id) == 0);
	mine = new_avp(AVP_VAL_STR, id, value);
	others = set_avp_list(list);
	host_route("all", nothing_else);
	route_type = 64;
	CHECK(publish("k1", "INVITE", "call", "all") == 1);
	before = host_shm_pieces();
	wait_for_reports(1);
	/* As it was. */
	SAYS("other", "of the caller");
	CHECK(route_type == 64);
	CHECK(host_shm_pieces() == before);
	set_avp_list(others);
}

static void unknown_names(void)
{
	const char *const no_route[4] = { "k1", "x", NULL, "nowhere" };

	CHECK(publish("k2", "x", NULL, NULL) == HOST_NO_START);
	CHECK(publish("k", "x", NULL, NULL) == HOST_NO_START);
	CHECK(publish_by_variables("k2", "x") == -1);
	CHECK(publish_by_variables("", "x") == -1);
	CHECK(host_call("kafka_publish", no_route) == HOST_NO_START);
	CHECK(publish("k1", "known", NULL, "count") == 1);
	wait_for_reports(1);
}

static void dying(void)
{
	configure("broker_id", DEAD_ID);
	publishing();
}

static void what_failed(struct sip_msg *msg)
{
	(void)msg;
	SAYS("kafka_id", "dead");
	SAYS("kafka_status", "-1");
	SAYS("kafka_msg", "lost");
	SAYS("kafka_error_code", "-192");
	CHECK(strcmp(host_avp("kafka_error"), "(none)"));
	SAYS("kafka_offset", "(none)");
	reported++;
}

static void failures_are_told(void)
{
	host_route("failed", what_failed);
	CHECK(publish("dead", "lost", NULL, "failed") == 1);
	wait_for_reports(1);
}

static void gone_route_is_survived(void)
{
	CHECK(publish("k1", "route goes", NULL, "count") == 1);
	CHECK(publish("k1", "route stays", NULL, "count") == 1);
	host_no_routes();
	host_route("another", count_report);
	/* Both reports are for a route that is not there; this one is, and comes last. */
	CHECK(publish("k1", "route came", NULL, "another") == 1);
	wait_for_reports(1);
}

/* Refusals */

static void small(void)
{
	configure("broker_id",
		"[small]" DEAD "/nobody?g.queue.buffering.max.messages=100&t.message.timeout.ms=3000");
	configure("lane_size", "4096");
	host_route("count", count_report);
}

static void full_is_refused(void)
{
	char message[1000];
	int i, taken = 0, refused = 0;

	memset(message, 'x', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	for (i = 0; i < 20000; i++) {
		int result = publish("small", message, NULL, "count");

		CHECK(result == 1 || result == -1);
		taken += result == 1;
		refused += result == -1;
	}
	CHECK(taken > 0 && refused > 0);
	wait_for_reports(taken);
	CHECK(failed == taken);
}

static void only_failures(void)
{
	configure("broker_id", with_brokers("[k1]%s/published?g.delivery.report.only.error=true"));
	configure("broker_id", DEAD_ID "&g.delivery.report.only.error=true");
	host_route("count", count_report);
}

static int delivered_events;

static void count_delivered(void *param, enum evi_status status)
{
	CHECK(!param && status == EVI_STATUS_SUCCESS);
	delivered_events++;
}

static int all_events_told(void)
{
	return delivered_events == 100;
}

static void only_failures_are_reported(void)
{
	evi_reply_sock *sock = parse(with_brokers("%s/status?g.delivery.report.only.error=true"));
	evi_async_ctx_t async = { count_delivered, NULL };
	long pieces = host_shm_pieces();
	int i;

	CHECK(sock);
	for (i = 0; i < 100; i++) {
		CHECK(publish("k1", "delivered", NULL, "count") == 1);
		CHECK(raise_for(NULL, sock, "E_TOLD", NULL, 0, &async) == 0);
	}
	CHECK(host_serve_until(all_events_told));
	CHECK(publish("dead", "lost", NULL, "count") == 1);
	wait_for_reports(1);
	CHECK(failed == 1);
	CHECK(host_shm_pieces() == pieces + 1);
}

static void waiting(void)
{
	publishing();
	configure("lane_size", "4096");
	configure("full_wait", "60000");
}

/* A lane holds some 40 of these. */
static void full_is_waited_for(void)
{
	int i;

	for (i = 0; i < 5000; i++)
		CHECK(publish("k1", "waits for its room", NULL, NULL) == 1);
}

static void waiting_shortly(void)
{
	small();
	configure("full_wait", "20");
}

/* Until its cluster comes, which never does: room would come only after this. */
static void full_is_not_waited_for_without_end(void)
{
	int i, taken = 0;

	for (i = 0; i < 500 && publish("small", "x", NULL, NULL) == 1; i++)
		taken++;
	CHECK(taken >= 100 && taken < 500);
}

/* Lifecycle */

#define BURST 20000

static void burst_before_the_end(void)
{
	char message[32];
	int i;

	for (i = 0; i < BURST; i++) {
		snprintf(message, sizeof message, "%d", i);
		while (publish("k1", message, NULL, NULL) != 1)
			usleep(100);
	}
}

static void reports_that_nobody_takes(void)
{
	int i;

	for (i = 0; i < BURST; i++) {
		while (publish("k1", "reported", NULL, "count") != 1)
			usleep(100);
	}
}

static void stray_sigterm_is_ignored(void)
{
	CHECK(kill(host_module_process(), SIGTERM) == 0);
	CHECK(publish("k1", "after SIGTERM", NULL, "count") == 1);
	wait_for_reports(1);
}

static void another_process(void)
{
	CHECK(publish("k1", "of another process", NULL, NULL) == 1);
}

static void many_processes(void)
{
	int i;

	for (i = 0; i < 200; i++)
		CHECK(host_in_process(another_process) == 0);
}

static void wrong_broker(void)
{
	configure("broker_id", "[k1]127.0.0.1:9092/t?t.acks=99999");
}

static void same_id(void)
{
	configure("broker_id", "[k1]127.0.0.1:9092/t");
	configure("broker_id", "[k1]127.0.0.1:9092/t");
}

static void ending_at_once(void)
{
	publishing();
	host_have_module_process_late();
}

static void published_before_the_end(void)
{
	CHECK(publish("k1", "before the end", NULL, NULL) == 1);
}

static void lenient(void)
{
	configure("strict", "0");
	configure("broker_id", with_brokers("[k1]%s/published?t.acks=99999"));
	configure("broker_id", with_brokers("[second]%s/second"));
}

static void lenient_sockets(void)
{
	CHECK(publish("k1", "taken", NULL, NULL) == 1);
	CHECK(publish("second", "taken", NULL, NULL) == 1);
	CHECK(parse(with_brokers("%s/events?g.nothing=1")));
	CHECK(parse(with_brokers("%s/events")));
	CHECK(!parse(with_brokers("%s/events?strict=1&g.nothing=1")));
	CHECK(!parse(with_brokers("%s/events?g.nothing=1&strict=1")));
}

static void lenient_ids(void)
{
	configure("strict", "0");
	configure("broker_id", with_brokers(" [k1?&strict=1]%s/published?g.nothing=1"));
	configure("broker_id", with_brokers("[a?b]%s/second"));
}

static void lenient_with_ids(void)
{
	CHECK(publish("k1?&strict=1", "taken", NULL, NULL) == 1);
	CHECK(publish("a?b", "taken", NULL, NULL) == 1);
}

static void lenient_but_strict(void)
{
	configure("strict", "0");
	configure("broker_id", "[k1]127.0.0.1:9092/t?strict=1&t.acks=99999");
}

static void wrong_strictness(void)
{
	configure("strict", "2");
}

static void wrong_log_level(void)
{
	configure("log_level", "5");
}

static void quiet(void)
{
	configure("log_level", "-1");
	dying();
}

/* Events */

static void payloads(void)
{
	evi_reply_sock *sock = parse(with_brokers("%s/events?g.linger.ms=0"));
	evi_reply_sock *raw = parse(with_brokers("%s/raw?payload=raw"));
	evi_param_t positional[] = { param(NULL, TEXT("first")), param(NULL, NULL, 0, 42),
		param(NULL, TEXT("third")) };
	evi_param_t named[] = { param("n1", TEXT("q\"uo\\te/ sl")),
		param("n2", NULL, 0, 2147483647), param("n3", NULL, 0, -7) };
	evi_param_t pike[] = { param("ip", TEXT("127.0.0.1")) };
	evi_param_t twice[] = { param("k\"ey", NULL, 0, 0), param("dup", TEXT("")),
		param("dup", TEXT("x")) };
	evi_param_t controls[] = { param(NULL, TEXT("é€😀\t\n\r\b\f\001\037\177/")) };
	evi_param_t broken[] = { param("body", TEXT("inv \xff\xfe bytes")),
		param("nul", TEXT("nul \0 after")) };
	evi_param_t none[] = { param("none", NULL, 0, 0) };
	evi_param_t many[100];
	int i;

	CHECK(sock && raw);
	none[0].flags = EVI_STR_VAL;
	CHECK(raise_for(NULL, sock, "E_C0", NULL, 0, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", positional, 3, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", named, 3, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_PIKE_BLOCKED", pike, 1, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", twice, 3, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", controls, 1, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", broken, 2, NULL) == 0);
	CHECK(raise_for(NULL, raw, "E_C0", broken, 2, NULL) == 0);
	CHECK(raise_for(NULL, sock, "E_C0", none, 1, NULL) == 0);
	for (i = 0; i < 100; i++)
		many[i] = param(NULL, NULL, 0, i);
	CHECK(raise_for(NULL, sock, "E_MANY", many, 100, NULL) == 0);
}

static void keys(void)
{
	evi_reply_sock *by_call = parse(with_brokers("%s/by-call?key=callid"));
	evi_reply_sock *by_param = parse(with_brokers("%s/by-param?key=param:ip"));
	evi_param_t ip[] = { param("ip", TEXT("192.0.2.1")) };
	struct sip_msg *dummy = get_dummy_sip_msg();

	CHECK(by_call && by_param);
	CHECK(raise_for(host_message(), by_call, "E_CALL", NULL, 0, NULL) == 0);
	CHECK(raise_for(NULL, by_call, "E_NO_CALL", NULL, 0, NULL) == 0);
	CHECK(raise_for(dummy, by_call, "E_DUMMY", NULL, 0, NULL) == 0);
	CHECK(raise_for(NULL, by_param, "E_IP", ip, 1, NULL) == 0);
	release_dummy_sip_msg(dummy);
}

static void subscriptions(void)
{
	const evi_export_t *kafka = host_transport();
	evi_reply_sock *first = parse(with_brokers("%s/renewed?g.linger.ms=0&t.acks=all"));
	evi_reply_sock *same, *other;
	str shown;
	long pieces;
	int i;

	CHECK(first && first->flags & EVI_ASYNC_STATUS && first->flags & EVI_EXPIRE);
	shown = kafka->print(first);
	CHECK(shown.len && !memchr(shown.s, '?', shown.len));
	pieces = host_shm_pieces();
	for (i = 0; i < 1000; i++) {
		/* What a renewal is to the core: what it parses is the same, and is freed. */
		same = parse(with_brokers("%s/renewed?t.acks=-1&g.linger.ms=0"));
		CHECK(same && kafka->match(same, first) && kafka->match(first, same));
		kafka->free(same);
	}
	other = parse(with_brokers("%s/renewed?g.linger.ms=1&t.acks=all"));
	CHECK(other && !kafka->match(other, first));
	kafka->free(other);
	CHECK(host_shm_pieces() == pieces);
	CHECK(raise_for(NULL, first, "E_AFTER_RENEWALS", NULL, 0, NULL) == 0);
	kafka->free(first);
	CHECK(host_shm_pieces() == pieces - 2);
}

static void malformed_sockets(void)
{
	static const char *const wrong[] = { "host:9/", "host:9/t?", "host:9/a/b", "SSL://host/t",
		"host:9", "/", "?", "", "host:9/t?g.linger.ms", "host:9/t?nonsense=1", "host:9/t?=b",
		"host:9/t?t.acks=99999", "host:70000/t", "host:9/a b" };
	str nothing = { "and what follows it in memory", -1 };
	long pieces = host_shm_pieces();
	size_t i;

	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (parse(wrong[i])) {
			fprintf(stderr, "%s was taken\n", wrong[i]);
			exit(1);
		}
	}
	CHECK(!host_transport()->parse(nothing));
	CHECK(host_shm_pieces() == pieces);
}

static int told[2];

static void tell(void *param, enum evi_status status)
{
	CHECK(*(int *)param == 7);
	told[status == EVI_STATUS_SUCCESS]++;
}

static int both_told(void)
{
	return told[0] && told[1];
}

static void event_status(void)
{
	evi_reply_sock *alive = parse(with_brokers("%s/status"));
	evi_reply_sock *dead = parse(DEAD "/nobody?t.message.timeout.ms=500&g.socket.timeout.ms=400");
	int seven = 7;
	evi_async_ctx_t async = { tell, &seven };
	long pieces = host_shm_pieces();

	CHECK(alive && dead);
	CHECK(raise_for(NULL, alive, "E_DELIVERED", NULL, 0, &async) == 0);
	CHECK(raise_for(NULL, dead, "E_LOST", NULL, 0, &async) == 0);
	CHECK(host_serve_until(both_told));
	CHECK(told[0] == 1 && told[1] == 1);
	CHECK(host_shm_pieces() == pieces);
}

/* What operators see */

static const char *status_has;

static int status_says(void)
{
	return strstr(host_manage("kafka_status", NULL, NULL), status_has) != NULL;
}

static void wait_for_status(const char *has)
{
	status_has = has;
	if (!host_serve_until(status_says)) {
		fprintf(stderr, "%s is not in %s\n", has, host_manage("kafka_status", NULL, NULL));
		exit(1);
	}
}

/* Whether all of these, up to NULL, are in an answer. */
static void has_all(const char *answer, const char *const *all)
{
	for (; *all; all++) {
		if (!strstr(answer, *all)) {
			fprintf(stderr, "%s is not in %s\n", *all, answer);
			exit(1);
		}
	}
}

static void watched(void)
{
	configure("broker_id", with_brokers("[k1]%s/published?g.linger.ms=1&header.token=secret"));
	configure("broker_id", "[dead]127.0.0.1:1,127.0.0.1:2/nobody?g.queue.buffering.max.messages=1");
	host_route("count", count_report);
}

static void operators_see_all(void)
{
	const char *const alive[] = { "\"broker_id\":\"k1\"", "\"topic\":\"published\"",
		"\"state\":\"up\",\"full\":false,\"closing\":false,\"accepted\":1,\"delivered\":1,"
		"\"failed\":0,\"held\":0,\"held_bytes\":0,\"refused\":0}", NULL };
	const char *const dead[] = { "\"broker_id\":\"dead\"",
		"\"socket\":\"127.0.0.1:1,127.0.0.1:2/nobody\"",
		"\"brokers\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\"topic\":\"nobody\"",
		"\"state\":\"down\",\"full\":true", "\"accepted\":1,\"delivered\":0,\"failed\":0,\"held\":1,",
		"\"refused\":1,\"last_error\":{\"code\":-195,\"text\":\"127.0.0.1:", NULL };
	const char *const in_all[] = { "{\"worker\":true,\"accepted\":2,\"delivered\":1,\"failed\":0,"
		"\"held\":1,", "\"refused\":1,\"reported\":1,\"lanes\":1,\"lane_bytes\":0,\"sockets\":[{",
		NULL };
	const char *answer;
	evi_reply_sock *events;

	CHECK(publish("k1", "delivered", NULL, "count") == 1);
	wait_for_reports(1);
	CHECK(publish("dead", "held", NULL, NULL) == 1);
	wait_for_status("\"full\":true");
	wait_for_status("\"state\":\"down\"");
	CHECK(publish("dead", "refused", NULL, NULL) == -1);
	answer = host_manage("kafka_status", NULL, NULL);
	has_all(answer, alive);
	has_all(answer, dead);
	has_all(answer, in_all);
	CHECK(!strstr(answer, "secret"));
	answer = host_manage("kafka_status", "socket", "dead");
	has_all(answer, dead);
	CHECK(!strstr(answer, "\"k1\""));
	answer = host_manage("kafka_status", "socket", "nobody");
	CHECK(strstr(answer, "\"error\":{\"code\":404"));
	CHECK(host_statistic("kafka_accepted") == 2 && host_statistic("kafka_delivered") == 1);
	CHECK(host_statistic("kafka_failed") == 0 && host_statistic("kafka_held") == 1);
	CHECK(host_statistic("kafka_held_bytes") > 0 && host_statistic("kafka_refused") == 1);
	CHECK(host_statistic("kafka_reported") == 1 && host_statistic("kafka_lanes") == 1);
	CHECK(host_statistic("kafka_lane_bytes") == 0 && host_statistic("kafka_sockets") == 2);
	events = parse(with_brokers("%s/events?key=callid"));
	answer = host_manage("kafka_status", "socket", with_brokers("kafka:%s/events"));
	CHECK(strstr(answer, "/events\",") && !strstr(answer, "broker_id") && !strstr(answer, "key=callid"));
	host_transport()->free(events);
}

/* What was told, as "id status;" for each. */
static char news[4096];
static const char *news_has;

static const evi_param_t *named(const evi_params_t *params, const char *name)
{
	const evi_param_t *param = params->first;

	while (param && strcmp(param->name.s, name))
		param = param->next;
	CHECK(param);
	return param;
}

static void hear(const evi_params_t *params)
{
	const char *status = named(params, "status")->val.s.s;
	int is_trouble = !strcmp(status, "down") || !strcmp(status, "fatal");
	size_t size = strlen(news);

	CHECK((named(params, "error_code")->val.n != 0) == is_trouble);
	CHECK((named(params, "error")->val.s.len > 0) == is_trouble);
	CHECK(!strstr(named(params, "socket")->val.s.s, "?"));
	CHECK(size < sizeof news - 200);
	snprintf(news + size, 200, "%s %s;", named(params, "broker_id")->val.s.s, status);
}

static int is_heard(void)
{
	return strstr(news, news_has) != NULL;
}

static void wait_for_news(const char *has)
{
	news_has = has;
	if (!host_serve_until(is_heard)) {
		fprintf(stderr, "%s is not in %s\n", has, news);
		exit(1);
	}
}

static int times(const char *text)
{
	const char *found = news;
	int count = 0;

	while ((found = strstr(found, text))) {
		found += strlen(text);
		count++;
	}
	return count;
}

static void changes_are_told(void)
{
	host_subscribe(hear, NULL);
	CHECK(publish("dead", "held", NULL, NULL) == 1);
	wait_for_news("k1 up;");
	wait_for_news("dead down;");
	wait_for_news("dead full;");
	/* Each once. */
	CHECK(times(";") == 3);
}

static void fed_by_itself(void)
{
	/* One message fills it, so that each that is delivered changes it twice. */
	configure("broker_id", with_brokers("[narrow]%s/published?g.queue.buffering.max.messages=1"
		"&g.linger.ms=1"));
	configure("broker_id", DEAD_ID);
	host_route("count", count_report);
}

static long quiet_until;

static int is_time(void)
{
	return time(NULL) >= quiet_until;
}

static void news_do_not_feed_themselves(void)
{
	/* Each takes one message, and shares the producer of what it would tell of. */
	evi_reply_sock *own = parse(with_brokers("%s/events?g.queue.buffering.max.messages=1&g.linger.ms=1"));
	evi_reply_sock *other = parse(with_brokers(
		"%s/second?g.queue.buffering.max.messages=1&g.linger.ms=1&key=callid"));

	CHECK(own && other);
	host_subscribe(hear, own);
	host_subscribe(hear, other);
	/* What is told of the dead one goes there, and fills both. */
	CHECK(publish("dead", "lost", NULL, NULL) == 1);
	wait_for_news("dead down;");
	wait_for_news("narrow up;");
	quiet_until = time(NULL) + 5;
	CHECK(host_serve_until(is_time));
	fprintf(stderr, "told: %s\n", news);
	CHECK(times(";") < 12);
}

static void lingering(void)
{
	configure("broker_id", with_brokers("[slow]%s/published?g.linger.ms=600000&t.message.timeout.ms=900000"));
	configure("broker_id", "[dead]" DEAD "/nobody?g.linger.ms=600000&t.message.timeout.ms=900000");
	host_route("count", count_report);
}

static void flushed_without_lingering(void)
{
	const char *answer;

	CHECK(publish("slow", "lingers", NULL, "count") == 1);
	/* Where SIP is served, nobody waits; it goes all the same. */
	answer = host_manage("kafka_flush", "socket", "slow");
	CHECK(strstr(answer, "\"broker_id\":\"slow\"") && !strstr(answer, "dead"));
	wait_for_reports(1);
	CHECK(publish("slow", "lingers again", NULL, "count") == 1);
	host_become(TYPE_MODULE);
	answer = host_manage("kafka_flush", "socket", "slow");
	CHECK(strstr(answer, "{\"flushed\":true,\"sockets\":[{"));
	CHECK(strstr(answer, "\"flushed\":true,\"delivered\":1,\"failed\":0,\"held\":0}"));
	wait_for_reports(2);
	/* What cannot be delivered is said after the time, and is still held. */
	CHECK(publish("dead", "held", NULL, NULL) == 1);
	answer = host_manage("kafka_flush", NULL, NULL);
	CHECK(strstr(answer, "{\"flushed\":false,\"sockets\":[{"));
	CHECK(strstr(answer, "\"flushed\":false,\"delivered\":0,\"failed\":0,\"held\":1}"));
	CHECK(strstr(host_manage("kafka_flush", "socket", "nobody"), "\"code\":404"));
}

const struct host_case host_cases[] = {
	{ "without_key_and_route", publishing, without_key_and_route, 1 },
	{ "with_all_that_a_message_has", publishing, with_all_that_a_message_has, 1 },
	{ "headers_without_values", publishing, headers_without_values, 1 },
	{ "no_such_partition", publishing, no_such_partition, 1 },
	{ "careless_topics", away, careless_topics, 1 },
	{ "reports_have_all", publishing, reports_have_all, 1 },
	{ "unknown_names", publishing, unknown_names, 1 },
	{ "failures_are_told", dying, failures_are_told, 1 },
	{ "failures_are_told_quietly", quiet, failures_are_told, 1 },
	{ "gone_route_is_survived", publishing, gone_route_is_survived, 1 },
	{ "full_is_refused", small, full_is_refused, 1 },
	{ "full_is_waited_for", waiting, full_is_waited_for, 1 },
	{ "full_is_not_waited_for_without_end", waiting_shortly,
		full_is_not_waited_for_without_end, 1 },
	{ "only_failures_are_reported", only_failures, only_failures_are_reported, 1 },
	{ "burst_before_the_end", publishing, burst_before_the_end, 1 },
	{ "end_before_the_worker_begins", ending_at_once, published_before_the_end, 1 },
	{ "reports_that_nobody_takes", publishing, reports_that_nobody_takes, 1 },
	{ "stray_sigterm_is_ignored", publishing, stray_sigterm_is_ignored, 1 },
	{ "many_processes", publishing, many_processes, 1 },
	{ "wrong_broker", wrong_broker, NULL, 0 },
	{ "same_id", same_id, NULL, 0 },
	{ "lenient_sockets", lenient, lenient_sockets, 1 },
	{ "lenient_with_ids", lenient_ids, lenient_with_ids, 1 },
	{ "lenient_but_strict", lenient_but_strict, NULL, 0 },
	{ "wrong_strictness", wrong_strictness, NULL, 0 },
	{ "wrong_log_level", wrong_log_level, NULL, 0 },
	{ "payloads", NULL, payloads, 1 },
	{ "keys", NULL, keys, 1 },
	{ "subscriptions", NULL, subscriptions, 1 },
	{ "malformed_sockets", NULL, malformed_sockets, 1 },
	{ "event_status", NULL, event_status, 1 },
	{ "operators_see_all", watched, operators_see_all, 1 },
	{ "flushed_without_lingering", lingering, flushed_without_lingering, 1 },
	{ "changes_are_told", watched, changes_are_told, 1 },
	{ "news_do_not_feed_themselves", fed_by_itself, news_do_not_feed_themselves, 1 },
	{ NULL, NULL, NULL, 0 },
};
