/*
 * The transport of events "null:", which takes an event and does nothing: what raising one costs in
 * the core alone.
 */
#include <string.h>

#include "compat.h"
#include "../../evi/evi_transport.h"
#include "../../evi/evi_modules.h"
#include "../../mem/shm_mem.h"

static int mod_init(void);

struct module_exports exports = {
	.name = "event_null",
	.type = MOD_TYPE_DEFAULT,
	MODULE_VERSION,
	.dlflags = DEFAULT_DLFLAGS,
	.init_f = mod_init,
};

static int raise_event(struct sip_msg *msg, str *name, evi_reply_sock *sock, evi_params_t *params,
	evi_async_ctx_t *async)
{
	(void)msg;
	(void)name;
	(void)sock;
	(void)params;
	(void)async;
	return 0;
}

static evi_reply_sock *parse(str text)
{
	evi_reply_sock *sock = shm_malloc(sizeof *sock);

	(void)text;
	if (!sock)
		return NULL;
	memset(sock, 0, sizeof *sock);
	sock->address.s = "null";
	sock->address.len = 4;
	sock->flags = EVI_ADDRESS;
	return sock;
}

static int match(evi_reply_sock *one, evi_reply_sock *other)
{
	(void)one;
	(void)other;
	return 1;
}

static void release(evi_reply_sock *sock)
{
	shm_free(sock);
}

static str print(evi_reply_sock *sock)
{
	return sock->address;
}

static EXPORTED evi_export_t transport = {
	.proto = str_init("null"),
	.raise = raise_event,
	.parse = parse,
	.match = match,
	.free = release,
	.print = print,
	.flags = 1 << 30,
};

static int mod_init(void)
{
	return register_event_mod(&transport);
}
