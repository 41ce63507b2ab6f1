/*
 * What scripts call: kafka_publish() and kafka_publish_ex().
 */
#include <stdint.h>
#include <string.h>

#include "module.h"
#include "../../usr_avp.h"

/* So many headers a message can have. */
#define MOST_HEADERS 64

/* Values of an AVP in the order in which a script added them; the core has them the other way round,
 * so they are put here from the end. */
struct values {
	str all[MOST_HEADERS];
	char digits[MOST_HEADERS][12];
	size_t count;
};

/* 1: the message is on its way. -1: it is not, and never will be. */
static int publish(struct kafka_broker *broker, const str *topic, event_kafka_message_t *record,
	struct kafka_report_route *route)
{
	event_kafka_socket_t socket = kafka_broker_socket(broker);
	uint32_t to = route ? KAFKA_SCRIPT_ROUTE : EVENT_KAFKA_ROUTE_NONE;
	char why[KAFKA_TEXT_SIZE];
	int32_t code;
	str id;

	record->opaque = (uintptr_t)route;
	if (topic)
		code = event_kafka_area_publish_to(kafka_area, socket, topic->s ? topic->s : "",
			topic->len, to, record, kafka_full_wait, why, sizeof why);
	else
		code = event_kafka_area_publish(kafka_area, socket, to, record, kafka_full_wait,
			why, sizeof why);
	if (code == EVENT_KAFKA_OK)
		return 1;
	id = kafka_broker_id(socket);
	kafka_refused(&id, why);
	return -1;
}

/* An empty message is one, not a tombstone; an empty key is none. So it is in upstream's. */
static event_kafka_message_t record_of(const str *message, const str *key)
{
	event_kafka_message_t record = EVENT_KAFKA_MESSAGE_INIT;

	if (message) {
		record.value = message->s ? message->s : "";
		record.value_size = message->len;
	}
	if (key && key->len > 0) {
		record.key = key->s;
		record.key_size = key->len;
	}
	return record;
}

int kafka_publish(struct sip_msg *msg, struct kafka_broker *broker, str *message, str *key,
	struct kafka_report_route *route)
{
	event_kafka_message_t record = record_of(message, key);

	(void)msg;
	return publish(broker, NULL, &record, route);
}

/* Only an AVP has several values, and only without an index it stands for all of them. */
int kafka_headers_fixup(void **param)
{
	const pv_spec_t *spec = *param;
	int index = spec->pvp.pvi.type;

	if (spec->type == PVT_AVP && (!index || index == PV_IDX_ALL) && !spec->trans)
		return 0;
	LM_ERR("names and values of headers are given as $avp(name), without an index\n");
	return E_CFG;
}

/* Fails if there are too many. */
static int read_values(struct sip_msg *msg, pv_spec_t *avps, struct values *values)
{
	unsigned short flags;
	struct usr_avp *avp;
	int_str value;
	size_t place;
	int id;

	values->count = 0;
	if (!avps)
		return 0;
	if (pv_get_avp_name(msg, &avps->pvp, &id, &flags) < 0)
		return -1;
	for (avp = search_first_avp(flags, id, &value, NULL); avp;
			avp = search_next_avp(avp, &value)) {
		if (values->count == MOST_HEADERS)
			return -1;
		place = MOST_HEADERS - ++values->count;
		if (avp->flags & AVP_VAL_STR) {
			values->all[place] = value.s;
			continue;
		}
		if (avp->flags & AVP_VAL_NULL) {
			values->all[place] = (str){ NULL, 0 };
			continue;
		}
		values->all[place].s = values->digits[place];
		values->all[place].len = snprintf(values->digits[place],
			sizeof values->digits[place], "%d", value.n);
	}
	return 0;
}

/* Makes headers of two AVPs; why it cannot be, or NULL. */
static const char *make_headers(struct sip_msg *msg, pv_spec_t *name_avps, pv_spec_t *value_avps,
	struct values *names, struct values *values, event_kafka_header_t *headers)
{
	size_t first, i;

	if (read_values(msg, name_avps, names) < 0 || read_values(msg, value_avps, values) < 0)
		return "there are more than 64 headers, or an AVP without a name";
	if (value_avps && values->count != names->count)
		return "there are not as many values of headers as names";
	first = MOST_HEADERS - names->count;
	for (i = 0; i < names->count; i++) {
		if (!names->all[first + i].s)
			return "the name of a header has no value";
		headers[i] = (event_kafka_header_t){
			.name = names->all[first + i].s,
			.name_size = names->all[first + i].len,
		};
		if (value_avps) {
			headers[i].value = values->all[first + i].s;
			headers[i].value_size = values->all[first + i].len;
		}
	}
	return NULL;
}

int kafka_publish_ex(struct sip_msg *msg, struct kafka_broker *broker, str *topic, str *message,
	str *key, pv_spec_t *header_names, pv_spec_t *header_values, int *partition,
	struct kafka_report_route *route)
{
	event_kafka_message_t record = record_of(message, key);
	event_kafka_header_t headers[MOST_HEADERS];
	struct values names, values;
	const char *why;
	str id;

	if (header_names || header_values) {
		why = make_headers(msg, header_names, header_values, &names, &values, headers);
		if (why) {
			id = kafka_broker_id(kafka_broker_socket(broker));
			kafka_refused(&id, why);
			return -1;
		}
		record.headers = headers;
		record.header_count = names.count;
	}
	if (partition)
		record.partition = *partition;
	return publish(broker, topic, &record, route);
}

void kafka_refused(const str *where, const char *why)
{
	static struct kafka_seldom lines;
	unsigned long unsaid;

	if (!kafka_is_time(&lines, &unsaid))
		return;
	if (unsaid)
		LM_ERR("%lu more messages were not taken\n", unsaid);
	LM_ERR("%.*s: not taken: %s\n", where->len, where->s, why);
}

int kafka_is_time(struct kafka_seldom *lines, unsigned long *unsaid)
{
	time_t now = time(NULL);

	if (now == lines->said) {
		lines->unsaid++;
		return 0;
	}
	*unsaid = lines->unsaid;
	lines->said = now;
	lines->unsaid = 0;
	return 1;
}
