/*
 * The clusters of broker_id.
 */
#include <string.h>

#include "module.h"
#include "../../mem/mem.h"

struct kafka_broker {
	str id;                     /* as the report tells it */
	event_kafka_socket_t socket;
	struct kafka_broker *next;
	char text[];                /* the whole parameter: "[id]brokers/topic?properties" */
};

/* In the order of the configuration. Filled before processes are forked, and never changed since. */
static struct kafka_broker *brokers;

/* Where the properties of a socket begin, with their "?"; NULL if it has none. An ID in brackets before
 * it, or an address, can have any character. */
static char *properties_of(char *socket)
{
	char *start = socket + strspn(socket, " \t\r\n");
	char *bracket = *start == '[' ? strchr(start, ']') : NULL;

	return strchr(bracket ? bracket : start, '?');
}

/* Whether they say themselves whether the socket is strict. */
static int say_strict(const char *properties)
{
	return strstr(properties, "?strict=") || strstr(properties, "&strict=");
}

/* At the end, so that the places in what is said of the socket are right. */
char *kafka_socket_text(const char *socket, size_t len)
{
	static const char lenient[] = "strict=0";
	char *text = pkg_malloc(len + 1 + sizeof lenient), *properties;

	if (!text) {
		LM_ERR("no pkg memory for a socket\n");
		return NULL;
	}
	memcpy(text, socket, len);
	text[len] = '\0';
	properties = properties_of(text);
	if (!kafka_strict && !(properties && say_strict(properties))) {
		text[len] = properties ? '&' : '?';
		memcpy(text + len + 1, lenient, sizeof lenient);
	}
	return text;
}

/* Keeps the parameter: what is shared is made when all parameters are known. */
int kafka_broker_param(modparam_t type, void *value)
{
	const char *text = value;
	size_t size = strlen(text) + 1;
	struct kafka_broker *broker, **last = &brokers;

	(void)type;
	broker = pkg_malloc(sizeof *broker + size);
	if (!broker) {
		LM_ERR("no pkg memory for a broker_id\n");
		return -1;
	}
	memset(broker, 0, sizeof *broker);
	memcpy(broker->text, text, size);
	while (*last)
		last = &(*last)->next;
	*last = broker;
	return 0;
}

/* Has the library look at all of them, so that one that is wrong is known at the start. */
int kafka_define_brokers(void)
{
	struct kafka_broker *broker;
	char *text, why[KAFKA_TEXT_SIZE];
	int code;

	for (broker = brokers; broker; broker = broker->next) {
		text = kafka_socket_text(broker->text, strlen(broker->text));
		if (!text)
			return -1;
		code = event_kafka_area_define(kafka_area, text, &broker->socket, why, sizeof why);
		pkg_free(text);
		if (code) {
			LM_ERR("modparam broker_id: %s\n", why);
			return -1;
		}
		/* That there are brackets, the library has seen. */
		broker->id.s = strchr(broker->text, '[') + 1;
		broker->id.len = strchr(broker->id.s, ']') - broker->id.s;
	}
	return 0;
}

/* The id that a script gives: one that stands there is looked up at the start, one in a variable
 * each time. */
int kafka_broker_fixup(void **param)
{
	const str *id = *param;
	struct kafka_broker *broker;

	for (broker = brokers; broker; broker = broker->next) {
		if (broker->id.len == id->len && !memcmp(broker->id.s, id->s, id->len)) {
			*param = broker;
			return 0;
		}
	}
	LM_ERR("no broker_id has the id \"%.*s\"\n", id->len, id->s);
	return E_CFG;
}

event_kafka_socket_t kafka_broker_socket(const struct kafka_broker *broker)
{
	return broker->socket;
}

/* How many messages were taken for all of them that have no outcome yet. */
uint64_t kafka_brokers_held(void)
{
	const struct kafka_broker *broker;
	event_kafka_socket_status_t status;
	uint64_t held = 0;

	for (broker = brokers; broker; broker = broker->next) {
		if (event_kafka_area_status(kafka_area, broker->socket, &status) == EVENT_KAFKA_OK)
			held += status.held;
	}
	return held;
}

/* Empty if it is none of broker_id. */
str kafka_broker_id(event_kafka_socket_t socket)
{
	str none = { "", 0 };
	const struct kafka_broker *broker;

	for (broker = brokers; broker; broker = broker->next) {
		if (broker->socket.slot == socket.slot
				&& broker->socket.generation == socket.generation)
			return broker->id;
	}
	return none;
}
