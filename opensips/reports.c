/*
 * What became of messages: told to report routes and to those who raised events, in whatever process
 * takes the job that the worker dispatches.
 */
#include <stdint.h>
#include <string.h>

#include "module.h"
#include "../../action.h"
#include "../../ipc.h"
#include "../../locking.h"
#include "../../mem/shm_mem.h"
#include "../../route.h"
#include "../../usr_avp.h"

/* The name of a report route, in shared memory and for ever: a message may be on its way when the
 * script that named it is gone, and which number a route has, only its process knows. */
struct kafka_report_route {
	struct kafka_report_route *next;
	str name;
};

/* All of them. A script that is loaded anew may add some. */
static struct shared_routes {
	gen_lock_t lock;
	struct kafka_report_route *first;
} *routes;

/* What a report route finds. */
enum avp {
	AVP_ID, AVP_STATUS, AVP_KEY, AVP_MSG,
	AVP_TOPIC, AVP_PARTITION, AVP_OFFSET, AVP_ERROR_CODE, AVP_ERROR, AVP_LATENCY,
	AVPS
};

static const str avp_names[AVPS] = {
	[AVP_ID] = str_init("kafka_id"),
	[AVP_STATUS] = str_init("kafka_status"),
	[AVP_KEY] = str_init("kafka_key"),
	[AVP_MSG] = str_init("kafka_msg"),
	[AVP_TOPIC] = str_init("kafka_topic"),
	[AVP_PARTITION] = str_init("kafka_partition"),
	[AVP_OFFSET] = str_init("kafka_offset"),
	[AVP_ERROR_CODE] = str_init("kafka_error_code"),
	[AVP_ERROR] = str_init("kafka_error"),
	[AVP_LATENCY] = str_init("kafka_latency_ms"),
};

static int avp_ids[AVPS];

int kafka_init_reports(void)
{
	int i;

	for (i = 0; i < AVPS; i++) {
		if (parse_avp_spec(&avp_names[i], &avp_ids[i]) < 0) {
			LM_ERR("cannot name $avp(%s)\n", avp_names[i].s);
			return -1;
		}
	}
	routes = shm_malloc(sizeof *routes);
	if (!routes) {
		LM_ERR("no shared memory for the names of report routes\n");
		return -1;
	}
	memset(routes, 0, sizeof *routes);
	lock_init(&routes->lock);
	return 0;
}

static struct kafka_report_route *find_route(const str *name)
{
	struct kafka_report_route *route;

	for (route = routes->first; route; route = route->next) {
		if (route->name.len == name->len && !memcmp(route->name.s, name->s, name->len))
			return route;
	}
	return NULL;
}

static struct kafka_report_route *add_route(const str *name)
{
	struct kafka_report_route *route = shm_malloc(sizeof *route + name->len);

	if (!route) {
		LM_ERR("no shared memory for the name of a report route\n");
		return NULL;
	}
	route->name.s = (char *)(route + 1);
	route->name.len = name->len;
	memcpy(route->name.s, name->s, name->len);
	route->next = routes->first;
	routes->first = route;
	return route;
}

/* The report route that a script names: it has to exist. */
int kafka_report_route_fixup(void **param)
{
	str *name = *param;
	struct kafka_report_route *route;

	if (get_script_route_ID_by_name_str(name, sroutes->request, RT_NO) < 0) {
		LM_ERR("there is no route[%.*s] for reports\n", name->len, name->s);
		return E_CFG;
	}
	lock_get(&routes->lock);
	route = find_route(name);
	if (!route)
		route = add_route(name);
	lock_release(&routes->lock);
	if (!route)
		return E_OUT_OF_MEM;
	*param = route;
	return 0;
}

/* Puts a value before the others. */
static int add_to(struct usr_avp **list, enum avp which, unsigned short flags, int_str value)
{
	struct usr_avp *avp = new_avp(flags, avp_ids[which], value);

	if (!avp)
		return -1;
	avp->next = *list;
	*list = avp;
	return 0;
}

static int add_number(struct usr_avp **list, enum avp which, int number)
{
	int_str value;

	memset(&value, 0, sizeof value);
	value.n = number;
	return add_to(list, which, 0, value);
}

static int add_text(struct usr_avp **list, enum avp which, const void *start, size_t size)
{
	int_str value;

	memset(&value, 0, sizeof value);
	value.s.s = start ? (char *)start : "";
	value.s.len = size;
	return add_to(list, which, AVP_VAL_STR, value);
}

/* Where the message is, or why it is not. */
static int add_outcome(struct usr_avp **list, const event_kafka_lane_report_t *report)
{
	char offset[24];
	int size;

	if (report->error)
		return add_text(list, AVP_ERROR, report->error_text, strlen(report->error_text));
	if (report->offset < 0)
		return 0;
	/* A text, as AVPs have no numbers of 64 bits. */
	size = snprintf(offset, sizeof offset, "%lld", (long long)report->offset);
	return add_text(list, AVP_OFFSET, offset, size);
}

static int add_all(struct usr_avp **list, const event_kafka_lane_report_t *report)
{
	str id = kafka_broker_id(report->socket);

	return add_text(list, AVP_ID, id.s, id.len)
		|| add_number(list, AVP_STATUS, report->error ? -1 : 0)
		|| add_text(list, AVP_KEY, report->key, report->key_size)
		|| add_text(list, AVP_MSG, report->value, report->value_size)
		|| add_text(list, AVP_TOPIC, report->topic, strlen(report->topic))
		|| add_number(list, AVP_PARTITION, report->partition)
		|| add_number(list, AVP_ERROR_CODE, report->error)
		|| add_number(list, AVP_LATENCY, report->latency_us / 1000)
		|| add_outcome(list, report);
}

/* Runs the route with these AVPs and no others, for a message that is none. */
static void run_route(int number, struct usr_avp **avps)
{
	struct usr_avp **before;
	struct sip_msg *msg = get_dummy_sip_msg();
	int type_before;

	if (!msg) {
		LM_ERR("no memory for the message of a report route\n");
		return;
	}
	before = set_avp_list(avps);
	swap_route_type(type_before, REQUEST_ROUTE);
	run_top_route(sroutes->request[number], msg);
	set_route_type(type_before);
	set_avp_list(before);
	release_dummy_sip_msg(msg);
}

static void route_is_gone(const str *name, const char *topic)
{
	static struct kafka_seldom lines;
	unsigned long unsaid;

	if (!kafka_is_time(&lines, &unsaid))
		return;
	if (unsaid)
		LM_WARN("%lu more reports were lost\n", unsaid);
	LM_WARN("route[%.*s] is gone: the report of a message to %s is lost\n",
		name->len, name->s, topic);
}

static void tell_route(const struct kafka_report_route *route,
	const event_kafka_lane_report_t *report)
{
	struct usr_avp *avps = NULL;
	str name = route->name;
	/* Its number now, in this process: a script that was loaded since may have others. */
	int number = get_script_route_ID_by_name_str(&name, sroutes->request, RT_NO);

	if (number < 0) {
		route_is_gone(&name, report->topic);
		return;
	}
	if (add_all(&avps, report) == 0)
		run_route(number, &avps);
	else
		LM_ERR("no shared memory for the AVPs of a report\n");
	destroy_avp_list(&avps);
}

static void tell_raiser(struct kafka_event_status *status, int error)
{
	status->tell(status->param, error ? EVI_STATUS_FAIL : EVI_STATUS_SUCCESS);
	shm_free(status);
}

static void tell(const event_kafka_lane_report_t *report)
{
	switch (report->route) {
	case KAFKA_SCRIPT_ROUTE:
		tell_route((const void *)(uintptr_t)report->opaque, report);
		break;
	case KAFKA_EVENT_STATUS:
		tell_raiser((void *)(uintptr_t)report->opaque, report->error);
		break;
	}
}

/* The job that the worker dispatches. */
void kafka_run_reports(int sender, void *batch)
{
	event_kafka_lane_report_t reports[EVENT_KAFKA_MOST_REPORTS];
	size_t count, i;
	int code = event_kafka_area_take_batch(kafka_area, (uintptr_t)batch, reports,
		EVENT_KAFKA_MOST_REPORTS, &count);

	(void)sender;
	if (code) {
		LM_ERR("up to %d reports are lost, as this process has no lane (%d): "
			"raise modparam lanes\n", EVENT_KAFKA_MOST_REPORTS, code);
		return;
	}
	for (i = 0; i < count; i++)
		tell(&reports[i]);
}
