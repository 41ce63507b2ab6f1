/*
 * What operators see: the MI command kafka_status and the statistics. All of it is read from what the
 * worker keeps in shared memory, without asking it, and without a lock.
 */
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "../../mem/mem.h"

const char *kafka_contact_name(int contact)
{
	switch (contact) {
	case EVENT_KAFKA_CONTACT_CONNECTING:
		return "connecting";
	case EVENT_KAFKA_CONTACT_UP:
		return "up";
	case EVENT_KAFKA_CONTACT_DOWN:
		return "down";
	case EVENT_KAFKA_CONTACT_FAILED:
		return "fatal";
	default:
		return "idle";
	}
}

/* The functions of MI take names that they do not change, but not as constants. */
static int add_text(mi_item_t *to, char *name, const char *text, size_t len)
{
	return add_mi_string(to, name, name ? strlen(name) : 0, text, len);
}

static int add_number(mi_item_t *to, char *name, uint64_t number)
{
	return add_mi_number(to, name, strlen(name), number);
}

/* "broker,broker/topic" */
static int add_address(mi_item_t *to, const char *address)
{
	const char *topic = strchr(address, '/'), *end, *next = NULL;
	mi_item_t *brokers = add_mi_array(to, MI_SSTR("brokers"));

	if (!brokers)
		return -1;
	for (; topic && address < topic; address = next) {
		end = memchr(address, ',', topic - address);
		next = end ? end + 1 : topic;
		end = end ? end : topic;
		if (add_text(brokers, NULL, address, end - address) < 0)
			return -1;
	}
	return topic ? add_text(to, "topic", topic + 1, strlen(topic + 1)) : 0;
}

static int add_error(mi_item_t *to, const event_kafka_socket_status_t *status)
{
	mi_item_t *error;

	if (!status->error_at_ms)
		return 0;
	error = add_mi_object(to, MI_SSTR("last_error"));
	if (!error || add_mi_number(error, MI_SSTR("code"), status->error) < 0)
		return -1;
	return add_text(error, "text", status->error_text, strlen(status->error_text)) < 0
		|| add_number(error, "time", status->error_at_ms / 1000) < 0 ? -1 : 0;
}

static int add_counters(mi_item_t *to, const event_kafka_socket_status_t *status)
{
	return add_number(to, "accepted", status->accepted) < 0
		|| add_number(to, "delivered", status->delivered) < 0
		|| add_number(to, "failed", status->failed) < 0
		|| add_number(to, "held", status->held) < 0
		|| add_number(to, "held_bytes", status->held_bytes) < 0
		|| add_number(to, "refused", status->refused) < 0 ? -1 : 0;
}

static int add_socket(mi_item_t *to, const char *id, const char *address,
	const event_kafka_socket_status_t *status)
{
	const char *contact = kafka_contact_name(status->contact);
	mi_item_t *socket = add_mi_object(to, NULL, 0);

	if (!socket)
		return -1;
	if (*id && add_text(socket, "broker_id", id, strlen(id)) < 0)
		return -1;
	return add_text(socket, "socket", address, strlen(address)) < 0
		|| add_address(socket, address) < 0
		|| add_text(socket, "state", contact, strlen(contact)) < 0
		|| add_mi_bool(socket, MI_SSTR("full"), status->state == EVENT_KAFKA_SOCKET_FULL) < 0
		|| add_mi_bool(socket, MI_SSTR("closing"), status->state == EVENT_KAFKA_SOCKET_CLOSING) < 0
		|| add_counters(socket, status) < 0
		|| add_error(socket, status) < 0 ? -1 : 0;
}

static int is_named(const str *wanted, const char *name)
{
	return (int)strlen(name) == wanted->len && !memcmp(name, wanted->s, wanted->len);
}

int kafka_is_called(event_kafka_socket_t socket, const str *wanted)
{
	char id[KAFKA_NAME_SIZE], address[KAFKA_NAME_SIZE];
	str bare = *wanted;

	if (event_kafka_area_socket_name(kafka_area, socket, id, sizeof id, address, sizeof address))
		return 0;
	if (bare.len > 6 && !memcmp(bare.s, "kafka:", 6)) {
		bare.s += 6;
		bare.len -= 6;
	}
	return (*id && is_named(wanted, id)) || is_named(&bare, address);
}

event_kafka_socket_t *kafka_all_sockets(size_t *count)
{
	event_kafka_area_overview_t overview;
	event_kafka_socket_t *sockets;
	size_t most;

	*count = 0;
	if (event_kafka_area_overview(kafka_area, &overview))
		return NULL;
	/* And some that come just now. */
	most = overview.sockets + 16;
	sockets = pkg_malloc(most * sizeof *sockets);
	if (!sockets) {
		LM_ERR("no pkg memory for the names of %u sockets\n", overview.sockets);
		return NULL;
	}
	event_kafka_area_sockets(kafka_area, sockets, most, count);
	return sockets;
}

/* How many sockets were added; -1: there is no memory. */
static int add_sockets(mi_item_t *to, const str *wanted)
{
	char id[KAFKA_NAME_SIZE], address[KAFKA_NAME_SIZE];
	event_kafka_socket_status_t status;
	size_t count, i;
	event_kafka_socket_t *sockets = kafka_all_sockets(&count);
	int added = sockets ? 0 : -1;

	for (i = 0; i < count && added >= 0; i++) {
		if (wanted && !kafka_is_called(sockets[i], wanted))
			continue;
		/* It may have gone meanwhile. */
		if (event_kafka_area_status(kafka_area, sockets[i], &status)
				|| event_kafka_area_socket_name(kafka_area, sockets[i], id, sizeof id,
					address, sizeof address))
			continue;
		added = add_socket(to, id, address, &status) < 0 ? -1 : added + 1;
	}
	if (sockets)
		pkg_free(sockets);
	return added;
}

static int add_overview(mi_item_t *to)
{
	event_kafka_area_overview_t all;

	if (event_kafka_area_overview(kafka_area, &all))
		return -1;
	return add_mi_bool(to, MI_SSTR("worker"), all.has_worker) < 0
		|| add_number(to, "accepted", all.accepted) < 0
		|| add_number(to, "delivered", all.delivered) < 0
		|| add_number(to, "failed", all.failed) < 0
		|| add_number(to, "held", all.held) < 0
		|| add_number(to, "held_bytes", all.held_bytes) < 0
		|| add_number(to, "refused", all.refused) < 0
		|| add_number(to, "reported", all.reported) < 0
		|| add_number(to, "lanes", all.lanes) < 0
		|| add_number(to, "lane_bytes", all.lane_bytes) < 0 ? -1 : 0;
}

static mi_response_t *status_of(const str *wanted)
{
	mi_item_t *result, *sockets;
	mi_response_t *response = init_mi_result_object(&result);
	int added;

	if (!response)
		return NULL;
	sockets = add_overview(result) < 0 ? NULL : add_mi_array(result, MI_SSTR("sockets"));
	added = sockets ? add_sockets(sockets, wanted) : -1;
	if (added > 0 || (added == 0 && !wanted))
		return response;
	free_mi_response(response);
	return added < 0 ? NULL : init_mi_error(404, MI_SSTR("No such broker_id or socket"));
}

mi_response_t *kafka_mi_status(const mi_params_t *params, struct mi_handler *async)
{
	(void)params;
	(void)async;
	return status_of(NULL);
}

mi_response_t *kafka_mi_status_of(const mi_params_t *params, struct mi_handler *async)
{
	str wanted;

	(void)async;
	if (get_mi_string_param(params, "socket", &wanted.s, &wanted.len) < 0)
		return init_mi_param_error();
	return status_of(&wanted);
}

/* Each statistic is a function of its own: the core hands none of them what it is for. */
#define STATISTIC(name) \
	static unsigned long stat_##name(void *context) \
	{ \
		event_kafka_area_overview_t all; \
		(void)context; \
		return event_kafka_area_overview(kafka_area, &all) ? 0 : (unsigned long)all.name; \
	}

STATISTIC(accepted)
STATISTIC(delivered)
STATISTIC(failed)
STATISTIC(held)
STATISTIC(held_bytes)
STATISTIC(refused)
STATISTIC(reported)
STATISTIC(lanes)
STATISTIC(lane_bytes)
STATISTIC(sockets)

/* With the name of the module in front, as a statistic is found by its name alone, too. */
EXPORTED stat_export_t kafka_statistics[] = {
	{ "kafka_accepted", STAT_IS_FUNC, (stat_var **)stat_accepted },
	{ "kafka_delivered", STAT_IS_FUNC, (stat_var **)stat_delivered },
	{ "kafka_failed", STAT_IS_FUNC, (stat_var **)stat_failed },
	{ "kafka_held", STAT_IS_FUNC, (stat_var **)stat_held },
	{ "kafka_held_bytes", STAT_IS_FUNC, (stat_var **)stat_held_bytes },
	{ "kafka_refused", STAT_IS_FUNC, (stat_var **)stat_refused },
	{ "kafka_reported", STAT_IS_FUNC, (stat_var **)stat_reported },
	{ "kafka_lanes", STAT_IS_FUNC, (stat_var **)stat_lanes },
	{ "kafka_lane_bytes", STAT_IS_FUNC, (stat_var **)stat_lane_bytes },
	{ "kafka_sockets", STAT_IS_FUNC, (stat_var **)stat_sockets },
	{ 0, 0, 0 },
};
