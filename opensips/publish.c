/*
 * What the script calls: kafka_publish(broker_id, message, [key], [report_route]).
 */
#include <stdint.h>
#include <time.h>

#include "module.h"

/* 1: the message is on its way. -1: it is not, and never will be. */
int kafka_publish(struct sip_msg *msg, struct kafka_broker *broker, str *message, str *key,
	struct kafka_report_route *route)
{
	event_kafka_socket_t socket = kafka_broker_socket(broker);
	event_kafka_message_t record = EVENT_KAFKA_MESSAGE_INIT;
	char why[KAFKA_TEXT_SIZE];
	str id;

	(void)msg;
	/* An empty message is one, not a tombstone; an empty key is none. So it is in upstream's. */
	record.value = message->s ? message->s : "";
	record.value_size = message->len;
	if (key && key->len > 0) {
		record.key = key->s;
		record.key_size = key->len;
	}
	record.opaque = (uintptr_t)route;
	if (event_kafka_area_publish(kafka_area, socket,
			route ? KAFKA_SCRIPT_ROUTE : EVENT_KAFKA_ROUTE_NONE, &record,
			kafka_full_wait, why, sizeof why) == EVENT_KAFKA_OK)
		return 1;
	id = kafka_broker_id(socket);
	kafka_refused(&id, why);
	return -1;
}

/* Says why a message was not taken; once in a second: where one is not, thousands may not be. */
void kafka_refused(const str *where, const char *why)
{
	static time_t said;
	static unsigned long unsaid;
	time_t now = time(NULL);

	if (now == said) {
		unsaid++;
		return;
	}
	if (unsaid)
		LM_ERR("%lu more messages were not taken\n", unsaid);
	LM_ERR("%.*s: not taken: %s\n", where->len, where->s, why);
	said = now;
	unsaid = 0;
}
