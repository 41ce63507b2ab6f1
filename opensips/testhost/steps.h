/*
 * The steps that cases have in common. A check that fails ends the process and says where.
 */
#ifndef TESTHOST_STEPS_H
#define TESTHOST_STEPS_H

#include "host.h"

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __func__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

#define SAYS(name, expected) \
	do { \
		const char *said = host_avp(name); \
		if (strcmp(said, (expected))) { \
			fprintf(stderr, "%s:%d: $avp(%s) is \"%s\", not \"%s\"\n", __func__, __LINE__, \
				(name), said, (expected)); \
			exit(1); \
		} \
	} while (0)

/* A port where nobody listens. */
#define DEAD "127.0.0.1:1"
#define DEAD_ID "[dead]" DEAD "/nobody?t.message.timeout.ms=500&g.socket.timeout.ms=400"

/* The arguments of param() for a text. */
#define TEXT(text) text, sizeof(text) - 1, 0

/* A text with the brokers for %s; it lasts until there were eight more. */
const char *with_brokers(const char *format);

/* Sets a parameter of the module. */
void configure(const char *name, const char *value);

/* Publishing; NULL: none is given. */
int publish(const char *id, const char *message, const char *key, const char *route);
int publish_by_variables(const char *id, const char *message);

/* What a route has seen that has count_report(), in this process. */
extern int reported, failed;
void count_report(struct sip_msg *msg);

/* Until so many reports have come, of which there must be no more. */
void wait_for_reports(int count);

/* The socket of a subscription. */
evi_reply_sock *parse(const char *text);

/* A parameter of an event, with a number (text NULL) or a text. */
evi_param_t param(const char *name, const char *text, int len, int number);

/* Raises an event with so many parameters. */
int raise_for(struct sip_msg *msg, evi_reply_sock *sock, const char *name, evi_param_t *all,
	int count, evi_async_ctx_t *async);

#endif
