/*
 * The transport of events "kafka:".
 */
#include <stdint.h>
#include <string.h>

#include "module.h"
#include "../../action.h"
#include "../../locking.h"
#include "../../mem/mem.h"
#include "../../mem/shm_mem.h"
#include "../../parser/msg_parser.h"

/* A socket of the library, for all subscriptions that mean the same: the core parses a socket each
 * time that somebody renews or looks at a subscription, and frees it again. In shared memory. */
struct subscribed {
	struct subscribed *next;
	event_kafka_socket_t socket;
	unsigned int uses;
	char text[];
};

/* All of them. */
static struct all_subscribed {
	gen_lock_t lock;
	struct subscribed *first;
} *all;

/* What the core keeps of a subscription, in one piece of shared memory with the text of its
 * address. */
struct subscription {
	evi_reply_sock sock;
	struct subscribed *subscribed;
	char address[];
};

/* Marks the transport in the flags of its sockets, as upstream's does: no other module has this. */
#define KAFKA_TRANSPORT (1 << 21)

/* So many parameters need no memory of their own. */
#define FEW_PARAMS 32

int kafka_init_subscriptions(void)
{
	all = shm_malloc(sizeof *all);
	if (!all) {
		LM_ERR("no shared memory for subscriptions\n");
		return -1;
	}
	memset(all, 0, sizeof *all);
	lock_init(&all->lock);
	return register_event_mod(&kafka_transport);
}

static struct subscription *subscription_of(evi_reply_sock *sock)
{
	return sock ? sock->params : NULL;
}

/* What is shown: without the properties, which may have secrets. */
static int address_len(const str *socket)
{
	const char *properties = memchr(socket->s, '?', socket->len);

	return properties ? properties - socket->s : socket->len;
}

/* Whether a text means what another one does that was understood before. */
static int means(const char *text, const struct subscribed *known)
{
	int is_match = 0;

	return event_kafka_area_sockets_match(text, known->text, &is_match, NULL, 0) == EVENT_KAFKA_OK
		&& is_match;
}

/* How many events were taken that have no outcome yet. For the last process: it takes no lock, as
 * those who had it may have been killed. */
uint64_t kafka_subscriptions_held(void)
{
	const struct subscribed *known;
	event_kafka_socket_status_t status;
	uint64_t held = 0;

	for (known = all ? all->first : NULL; known; known = known->next) {
		if (event_kafka_area_status(kafka_area, known->socket, &status) == EVENT_KAFKA_OK)
			held += status.held;
	}
	return held;
}

/* Whoever renews a subscription mostly writes it as before: then nothing has to be understood while
 * others wait for the lock. */
static struct subscribed *find(const char *text)
{
	struct subscribed *known;

	for (known = all->first; known; known = known->next) {
		if (!strcmp(text, known->text))
			return known;
	}
	for (known = all->first; known; known = known->next) {
		if (means(text, known))
			return known;
	}
	return NULL;
}

static struct subscribed *add(const char *text, int size)
{
	struct subscribed *added = shm_malloc(sizeof *added + size);
	char why[KAFKA_TEXT_SIZE];

	if (!added) {
		LM_ERR("no shared memory for a subscription\n");
		return NULL;
	}
	memset(added, 0, sizeof *added);
	if (event_kafka_area_subscribe(kafka_area, text, &added->socket, why, sizeof why)) {
		LM_ERR("cannot subscribe: %s\n", why);
		shm_free(added);
		return NULL;
	}
	memcpy(added->text, text, size);
	added->next = all->first;
	all->first = added;
	return added;
}

/* The library's socket of a text, which ends with NUL, used once more. */
static struct subscribed *use(const char *text, int size)
{
	struct subscribed *used;

	lock_get(&all->lock);
	used = find(text);
	if (!used)
		used = add(text, size);
	if (used)
		used->uses++;
	lock_release(&all->lock);
	return used;
}

/* What was accepted is still delivered. */
static void leave(struct subscribed *left)
{
	struct subscribed **place = &all->first;

	lock_get(&all->lock);
	if (--left->uses == 0) {
		while (*place != left)
			place = &(*place)->next;
		*place = left->next;
		event_kafka_area_unsubscribe(kafka_area, left->socket);
		shm_free(left);
	}
	lock_release(&all->lock);
}

static evi_reply_sock *new_subscription(const str *text, struct subscribed *subscribed)
{
	int len = address_len(text);
	struct subscription *subscription = shm_malloc(sizeof *subscription + len);

	if (!subscription) {
		LM_ERR("no shared memory for a subscription\n");
		return NULL;
	}
	memset(subscription, 0, sizeof *subscription);
	memcpy(subscription->address, text->s, len);
	subscription->subscribed = subscribed;
	subscription->sock.address.s = subscription->address;
	subscription->sock.address.len = len;
	subscription->sock.params = subscription;
	subscription->sock.flags = EVI_ADDRESS | EVI_PARAMS | EVI_EXPIRE | EVI_ASYNC_STATUS;
	return &subscription->sock;
}

static evi_reply_sock *parse(str text)
{
	struct subscribed *subscribed;
	evi_reply_sock *sock;
	char *ended;

	/* The core says -1 where not even a colon follows the name of the transport. */
	if (!text.s || text.len <= 0) {
		LM_ERR("there is no socket: write kafka:brokers/topic\n");
		return NULL;
	}
	ended = kafka_socket_text(text.s, text.len);
	if (!ended)
		return NULL;
	subscribed = use(ended, strlen(ended) + 1);
	pkg_free(ended);
	if (!subscribed)
		return NULL;
	sock = new_subscription(&text, subscribed);
	if (!sock)
		leave(subscribed);
	return sock;
}

static int match(evi_reply_sock *one, evi_reply_sock *other)
{
	const struct subscription *a = subscription_of(one), *b = subscription_of(other);

	return a && b && a->subscribed == b->subscribed;
}

static void release(evi_reply_sock *sock)
{
	leave(subscription_of(sock)->subscribed);
	shm_free(sock);
}

static str print(evi_reply_sock *sock)
{
	return sock->address;
}

/* The Call-ID of the message that is being processed. The messages that the core makes up for
 * events without one have none worth telling. */
static str call_id_of(struct sip_msg *msg)
{
	str none = { NULL, 0 };

	if (!msg || is_dummy_sip_msg(msg) == 0)
		return none;
	if (parse_headers(msg, HDR_CALLID_F, 0) < 0 || !msg->callid)
		return none;
	return msg->callid->body;
}

static size_t count(const evi_params_t *params)
{
	const evi_param_t *param;
	size_t count = 0;

	for (param = params ? params->first : NULL; param; param = param->next)
		count++;
	return count;
}

/* Whether the core tells this parameter. One without a value is null, or from 4.0 on left out. */
static int is_told(const evi_param_t *param)
{
#if KAFKA_OPENSIPS >= 400
	return param->flags & (EVI_INT_VAL | EVI_STR_VAL);
#else
	(void)param;
	return 1;
#endif
}

static event_kafka_param_t span(const evi_param_t *param)
{
	event_kafka_param_t told;

	memset(&told, 0, sizeof told);
	told.name = param->name.s;
	told.name_size = param->name.len;
	if (param->flags & EVI_INT_VAL) {
		told.kind = EVENT_KAFKA_PARAM_INTEGER;
		told.integer = param->val.n;
	} else if (param->val.s.s) {
		told.kind = EVENT_KAFKA_PARAM_TEXT;
		told.text = param->val.s.s;
		told.text_size = param->val.s.len;
	} else {
		told.kind = EVENT_KAFKA_PARAM_NULL;
	}
	return told;
}

static size_t fill(event_kafka_param_t *told, const evi_params_t *params)
{
	const evi_param_t *param;
	size_t filled = 0;

	for (param = params ? params->first : NULL; param; param = param->next) {
		if (is_told(param))
			told[filled++] = span(param);
	}
	return filled;
}

static struct kafka_event_status *status_of(const evi_async_ctx_t *async)
{
	struct kafka_event_status *status = shm_malloc(sizeof *status);

	if (status) {
		status->tell = async->status_cb;
		status->param = async->cb_param;
	}
	return status;
}

static int raise_with(struct sip_msg *msg, const str *name, evi_reply_sock *sock,
	event_kafka_param_t *told, const evi_params_t *params, struct kafka_event_status *status)
{
	str call_id = call_id_of(msg);
	event_kafka_event_t event;
	char why[KAFKA_TEXT_SIZE];

	memset(&event, 0, sizeof event);
	event.name = name->s;
	event.name_size = name->len;
	event.params = told;
	event.param_count = fill(told, params);
	event.named = params && params->first && params->first->name.s;
	event.call_id = call_id.s;
	event.call_id_size = call_id.len;
	event.opaque = (uintptr_t)status;
	if (event_kafka_area_raise(kafka_area, subscription_of(sock)->subscribed->socket,
			status ? KAFKA_EVENT_STATUS : EVENT_KAFKA_ROUTE_NONE, &event,
			kafka_full_wait, why, sizeof why) == EVENT_KAFKA_OK)
		return 0;
	kafka_refused(&sock->address, why);
	return -1;
}

static int raise_event(struct sip_msg *msg, str *name, evi_reply_sock *sock, evi_params_t *params,
	evi_async_ctx_t *async)
{
	event_kafka_param_t few[FEW_PARAMS], *told = few;
	struct kafka_event_status *status = NULL;
	size_t needed = count(params);
	int result = -1;

	if (!subscription_of(sock)) {
		LM_ERR("an event for no socket\n");
		return -1;
	}
	if (!kafka_may_carry(name, subscription_of(sock)->subscribed->socket))
		return async && async->status_cb ? -1 : 0;
	if (async && async->status_cb && !(status = status_of(async))) {
		LM_ERR("no shared memory for the status of an event\n");
		return -1;
	}
	if (needed > FEW_PARAMS)
		told = pkg_malloc(needed * sizeof *told);
	if (told)
		result = raise_with(msg, name, sock, told, params, status);
	else
		LM_ERR("no pkg memory for the %d parameters of an event\n", (int)needed);
	if (told != few && told)
		pkg_free(told);
	if (result < 0 && status)
		shm_free(status);
	return result;
}

EXPORTED evi_export_t kafka_transport = {
	.proto = str_init("kafka"),
	.raise = raise_event,
	.parse = parse,
	.match = match,
	.free = release,
	.print = print,
	.flags = KAFKA_TRANSPORT,
};
