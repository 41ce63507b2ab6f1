/*
 * The event E_KAFKA_STATUS: a socket came up, went down, failed for good, filled or has room again.
 *
 * It is raised by a job in whichever process is free, as report routes are run, and not in the Kafka
 * worker: raising runs routes and other transports, which may wait, and that process is not known to
 * the core's IPC, on which some of them depend. A job carries nothing. It asks the library in what
 * sockets are other ones than when somebody asked before; so there is never more than one job on its
 * way, and what came and went again meanwhile is no news. The worker dispatches one in a second at
 * most (worker.c).
 */
#include <string.h>

#include "module.h"
#include "../../evi/evi_modules.h"
#include "../../ipc.h"
#include "../../mem/shm_mem.h"

static str event_name = str_init("E_KAFKA_STATUS");
static event_id_t event = EVI_ERROR;

/* Whether a job is on its way. In shared memory. */
static int *is_on_its_way;

/* The socket whose news this process tells at this moment. */
static event_kafka_socket_t told;
static int is_telling;

int kafka_init_news(void)
{
	is_on_its_way = shm_malloc(sizeof *is_on_its_way);
	if (!is_on_its_way) {
		LM_ERR("no shared memory for the state of E_KAFKA_STATUS\n");
		return -1;
	}
	*is_on_its_way = 0;
	event = evi_publish_event(event_name);
	if (event == EVI_ERROR) {
		LM_ERR("cannot publish the event E_KAFKA_STATUS\n");
		return -1;
	}
	return 0;
}

static int add_text(evi_params_p params, const char *name, const char *text)
{
	str key = { (char *)name, strlen(name) }, value = { (char *)text, strlen(text) };

	return evi_param_add_str(params, &key, &value);
}

static int add_number(evi_params_p params, const char *name, int number)
{
	str key = { (char *)name, strlen(name) };

	return evi_param_add_int(params, &key, &number);
}

static void raise_one(event_kafka_socket_t socket, const char *what, int is_trouble)
{
	char id[KAFKA_NAME_SIZE], address[KAFKA_NAME_SIZE];
	event_kafka_socket_status_t status;
	evi_params_p params;
	int has_error;

	/* It may have gone meanwhile. */
	if (event_kafka_area_socket_name(kafka_area, socket, id, sizeof id, address, sizeof address)
			|| event_kafka_area_status(kafka_area, socket, &status))
		return;
	params = evi_get_params();
	if (!params)
		return;
	has_error = is_trouble && status.error_at_ms;
	if (add_text(params, "broker_id", id) < 0
			|| add_text(params, "socket", address) < 0
			|| add_text(params, "status", what) < 0
			|| add_number(params, "error_code", has_error ? status.error : 0) < 0
			|| add_text(params, "error", has_error ? status.error_text : "") < 0) {
		LM_ERR("no memory for the parameters of E_KAFKA_STATUS\n");
		evi_free_params(params);
		return;
	}
	told = socket;
	is_telling = 1;
	/* It takes the parameters, whatever comes of it. */
	if (evi_raise_event(event, params) < 0)
		LM_ERR("cannot raise E_KAFKA_STATUS for %s\n", address);
	is_telling = 0;
}

/* The job that the worker dispatches. */
static void raise_news(int sender, void *nothing)
{
	event_kafka_socket_change_t change;
	uint32_t slot = 0;

	(void)sender;
	(void)nothing;
	/* What changes from here on is for another job. */
	__atomic_store_n(is_on_its_way, 0, __ATOMIC_SEQ_CST);
	while (event_kafka_area_take_change(kafka_area, slot, &change) == EVENT_KAFKA_OK
			&& (change.contact || change.state)) {
		slot = change.socket.slot + 1;
		if (!evi_probe_event(event))
			continue;
		if (change.contact)
			raise_one(change.socket, kafka_contact_name(change.contact),
				change.contact != EVENT_KAFKA_CONTACT_UP);
		if (change.state)
			raise_one(change.socket,
				change.state == EVENT_KAFKA_SOCKET_FULL ? "full" : "open", 0);
	}
}

int kafka_dispatch_news(void)
{
	if (__atomic_exchange_n(is_on_its_way, 1, __ATOMIC_SEQ_CST))
		return -1;
	if (ipc_dispatch_rpc(raise_news, NULL) == 0)
		return 0;
	__atomic_store_n(is_on_its_way, 0, __ATOMIC_SEQ_CST);
	return -1;
}

int kafka_may_carry(const str *name, event_kafka_socket_t by)
{
	int32_t may_tell = 0;

	if (name->len != event_name.len || memcmp(name->s, event_name.s, name->len))
		return 1;
	/* Of what, only the process knows that raises it: whoever raises it again, such as event_virtual
	 * when its first socket has failed, cannot do so by ours. */
	return is_telling
		&& event_kafka_area_may_tell(kafka_area, told, by, &may_tell) == EVENT_KAFKA_OK
		&& may_tell;
}
