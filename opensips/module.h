/*
 * What the files of the module use of each other: event_kafka.c has its tables, brokers.c the
 * clusters of broker_id, publish.c the script functions, evi.c the transport of events, reports.c
 * what comes back, worker.c the process that speaks with Kafka, status.c what
 * operators see, news.c the event of it, flush.c what they can do about it.
 */
#ifndef KAFKA_MODULE_H
#define KAFKA_MODULE_H

#include <time.h>

#include "event_kafka.h"

#include "compat.h"
#include "../../evi/evi_transport.h"
#include "../../mi/mi.h"
#include "../../pvar.h"
#include "../../statistics.h"

/* Room for what the library says about a failure. */
#define KAFKA_TEXT_SIZE 512
/* Room for the ID or the address of a socket; what is longer is cut where it is shown. */
#define KAFKA_NAME_SIZE 2048

/* What all processes of this OpenSIPS share, made before they are forked. */
extern event_kafka_area_t kafka_area;

/* modparams: whether sockets are strict that do not say so themselves; how long a publisher waits for
 * room, and how long the end may take, both in ms; up to which level the library's log is passed on. */
extern int kafka_strict;
extern int kafka_full_wait;
extern int kafka_drain_time;
extern int kafka_log_level;

/* A cluster and topic that scripts publish to. */
struct kafka_broker;
/* The name of a route that reports go to. */
struct kafka_report_route;

/* A socket as the library is given it, in pkg memory, or NULL. */
char *kafka_socket_text(const char *socket, size_t len);
int kafka_broker_param(modparam_t type, void *value);
int kafka_define_brokers(void);
int kafka_broker_fixup(void **param);
event_kafka_socket_t kafka_broker_socket(const struct kafka_broker *broker);
str kafka_broker_id(event_kafka_socket_t socket);
uint64_t kafka_brokers_held(void);

/* The route of a message in the library's sense: to whom its report goes, and so what its opaque is. */

/* A struct kafka_report_route. Only failures go there if the socket says so. */
#define KAFKA_SCRIPT_ROUTE 0u
/* A struct kafka_event_status: whoever waits for it has to hear of each. */
#define KAFKA_EVENT_STATUS (1u | EVENT_KAFKA_ROUTE_ALWAYS)

/* Whom the outcome of an event is told. In shared memory, until it was told. */
struct kafka_event_status {
	evi_status_cb tell;
	void *param;
};

int kafka_init_reports(void);
int kafka_report_route_fixup(void **param);
void kafka_run_reports(int sender, void *batch);

int kafka_publish(struct sip_msg *msg, struct kafka_broker *broker, str *message, str *key,
	struct kafka_report_route *route);
int kafka_publish_ex(struct sip_msg *msg, struct kafka_broker *broker, str *topic, str *message,
	str *key, pv_spec_t *header_names, pv_spec_t *header_values, int *partition,
	struct kafka_report_route *route);
int kafka_headers_fixup(void **param);

/* Says why a message was not taken; where one is not, thousands may not be. */
void kafka_refused(const str *where, const char *why);

/* Lines of this process's log that come once in a second, however often there is reason for one. */
struct kafka_seldom {
	time_t said;
	unsigned long unsaid;
};

/* Whether it is time for one; how many were left out since the last one. */
int kafka_is_time(struct kafka_seldom *lines, unsigned long *unsaid);

int kafka_init_subscriptions(void);
uint64_t kafka_subscriptions_held(void);
extern EXPORTED evi_export_t kafka_transport;

/* All sockets, in pkg memory, or NULL; and whether one has this ID or address. */
event_kafka_socket_t *kafka_all_sockets(size_t *count);
int kafka_is_called(event_kafka_socket_t socket, const str *wanted);
mi_response_t *kafka_mi_status(const mi_params_t *params, struct mi_handler *async);
mi_response_t *kafka_mi_status_of(const mi_params_t *params, struct mi_handler *async);
extern EXPORTED stat_export_t kafka_statistics[];

mi_response_t *kafka_mi_flush(const mi_params_t *params, struct mi_handler *async);
mi_response_t *kafka_mi_flush_of(const mi_params_t *params, struct mi_handler *async);
mi_response_t *kafka_mi_flush_within(const mi_params_t *params, struct mi_handler *async);

const char *kafka_contact_name(int contact);

int kafka_init_news(void);
/* Has changes of sockets told as events; -1: not now. For the worker. */
int kafka_dispatch_news(void);
/* Whether an event may go by a socket: E_KAFKA_STATUS only so that it has no other as its
 * consequence. */
int kafka_may_carry(const str *name, event_kafka_socket_t by);

int kafka_init_worker(void);
int kafka_before_worker(void);
int kafka_after_worker(void);
void kafka_worker(int rank);
void kafka_destroy(void);

#endif
