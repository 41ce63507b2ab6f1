/*
 * The MI command kafka_flush: what sockets hold goes now, without lingering.
 *
 * To ask for that is a word in shared memory and a ring of the worker's bell, so neither the worker nor
 * a publisher waits for anybody. Whoever asked waits for what becomes of it, for a bounded time, and
 * only where that is a process of a module, such as that of mi_fifo or of httpd: such a process has
 * nothing to do but management. In one that serves SIP or timers, where a script can ask, it does not
 * wait at all. An asynchronous answer would need a process that gives it when the time is over, and the
 * one to know, the worker, must not speak with transports of MI.
 */
#include <string.h>
#include <unistd.h>

#include "module.h"
#include "../../mem/mem.h"
#include "../../pt.h"

#define USUAL_TIMEOUT_MS 1000
#define MOST_TIMEOUT_MS 5000
#define LOOK_MS 5

/* A flush that was asked for. */
struct flush {
	event_kafka_socket_t socket;
	uint64_t number;
	uint64_t delivered, failed;     /* before */
	int is_over;
};

static int may_wait(void)
{
	return pt[process_no].type == TYPE_MODULE;
}

/* Asks for it for all that are wanted; how many they are. */
static size_t begin(struct flush *flushes, const event_kafka_socket_t *sockets, size_t count,
	const str *wanted)
{
	event_kafka_socket_status_t before;
	size_t begun = 0, i;

	for (i = 0; i < count; i++) {
		struct flush *flush = &flushes[begun];

		if (wanted && !kafka_is_called(sockets[i], wanted))
			continue;
		/* It may have gone meanwhile. */
		if (event_kafka_area_status(kafka_area, sockets[i], &before)
				|| event_kafka_area_flush(kafka_area, sockets[i], &flush->number))
			continue;
		flush->socket = sockets[i];
		flush->delivered = before.delivered;
		flush->failed = before.failed;
		flush->is_over = 0;
		begun++;
	}
	return begun;
}

/* Whether all are over. */
static int look(struct flush *flushes, size_t count)
{
	int are_over = 1, is_over;
	size_t i;

	for (i = 0; i < count; i++) {
		is_over = 0;
		event_kafka_area_is_flushed(kafka_area, flushes[i].socket, flushes[i].number, &is_over);
		flushes[i].is_over = is_over;
		are_over &= is_over;
	}
	return are_over;
}

static int add_outcome(mi_item_t *to, const struct flush *flush)
{
	char id[KAFKA_NAME_SIZE], address[KAFKA_NAME_SIZE];
	event_kafka_socket_status_t now;
	mi_item_t *socket;

	if (event_kafka_area_status(kafka_area, flush->socket, &now)
			|| event_kafka_area_socket_name(kafka_area, flush->socket, id, sizeof id,
				address, sizeof address))
		return 0;
	socket = add_mi_object(to, NULL, 0);
	if (!socket || (*id && add_mi_string(socket, MI_SSTR("broker_id"), id, strlen(id)) < 0))
		return -1;
	return add_mi_string(socket, MI_SSTR("socket"), address, strlen(address)) < 0
		|| add_mi_bool(socket, MI_SSTR("flushed"), flush->is_over) < 0
		|| add_mi_number(socket, MI_SSTR("delivered"), now.delivered - flush->delivered) < 0
		|| add_mi_number(socket, MI_SSTR("failed"), now.failed - flush->failed) < 0
		|| add_mi_number(socket, MI_SSTR("held"), now.held) < 0 ? -1 : 0;
}

static mi_response_t *answer(const struct flush *flushes, size_t count, int are_over)
{
	mi_item_t *result, *sockets;
	mi_response_t *response = init_mi_result_object(&result);
	int code;
	size_t i;

	if (!response)
		return NULL;
	code = add_mi_bool(result, MI_SSTR("flushed"), are_over);
	sockets = code < 0 ? NULL : add_mi_array(result, MI_SSTR("sockets"));
	code = sockets ? 0 : -1;
	for (i = 0; i < count && code >= 0; i++)
		code = add_outcome(sockets, &flushes[i]);
	if (code >= 0)
		return response;
	free_mi_response(response);
	return NULL;
}

static mi_response_t *flush_and_wait(struct flush *flushes, size_t count, int timeout_ms)
{
	int left = may_wait() ? timeout_ms : 0, are_over;

	while (!(are_over = look(flushes, count)) && left > 0) {
		usleep(LOOK_MS * 1000);
		left -= LOOK_MS;
	}
	return answer(flushes, count, are_over);
}

static mi_response_t *flush_of(const str *wanted, int timeout_ms)
{
	mi_response_t *response = NULL;
	event_kafka_socket_t *sockets;
	struct flush *flushes;
	size_t count;

	if (wanted && wanted->len == 1 && *wanted->s == '*')
		wanted = NULL;
	sockets = kafka_all_sockets(&count);
	if (!sockets)
		return NULL;
	/* One more, as there may be none. */
	flushes = pkg_malloc((count + 1) * sizeof *flushes);
	if (flushes) {
		count = begin(flushes, sockets, count, wanted);
		response = count || !wanted
			? flush_and_wait(flushes, count, timeout_ms)
			: init_mi_error(404, MI_SSTR("No such broker_id or socket"));
		pkg_free(flushes);
	} else {
		LM_ERR("no pkg memory to flush %d sockets\n", (int)count);
	}
	pkg_free(sockets);
	return response;
}

mi_response_t *kafka_mi_flush(const mi_params_t *params, struct mi_handler *async)
{
	(void)params;
	(void)async;
	return flush_of(NULL, USUAL_TIMEOUT_MS);
}

mi_response_t *kafka_mi_flush_of(const mi_params_t *params, struct mi_handler *async)
{
	str wanted;

	(void)async;
	if (get_mi_string_param(params, "socket", &wanted.s, &wanted.len) < 0)
		return init_mi_param_error();
	return flush_of(&wanted, USUAL_TIMEOUT_MS);
}

mi_response_t *kafka_mi_flush_within(const mi_params_t *params, struct mi_handler *async)
{
	int timeout_ms;
	str wanted;

	(void)async;
	if (get_mi_string_param(params, "socket", &wanted.s, &wanted.len) < 0
			|| get_mi_int_param(params, "timeout", &timeout_ms) < 0)
		return init_mi_param_error();
	if (timeout_ms < 0 || timeout_ms > MOST_TIMEOUT_MS)
		return init_mi_error(400, MI_SSTR("timeout has to be 0 to 5000 (ms)"));
	return flush_of(&wanted, timeout_ms);
}
