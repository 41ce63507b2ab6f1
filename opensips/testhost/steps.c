#include "steps.h"

#include "cases.h"

const char *with_brokers(const char *format)
{
	static char texts[8][256];
	static unsigned int next;
	char *text = texts[next++ % 8];

	CHECK(snprintf(text, sizeof texts[0], format, host_bootstrap) < (int)sizeof texts[0]);
	return text;
}

void configure(const char *name, const char *value)
{
	CHECK(host_modparam(name, value) == 0);
}

int publish(const char *id, const char *message, const char *key, const char *route)
{
	const char *const arguments[4] = { id, message, key, route };

	return host_call("kafka_publish", arguments);
}

int publish_by_variables(const char *id, const char *message)
{
	const char *const arguments[4] = { id, message, NULL, NULL };

	return host_call_by_variables("kafka_publish", arguments);
}

int reported, failed;

void count_report(struct sip_msg *msg)
{
	CHECK(is_dummy_sip_msg(msg) == 0);
	reported++;
	if (!strcmp(host_avp("kafka_status"), "-1"))
		failed++;
}

static int expected;

static int all_reported(void)
{
	return reported >= expected;
}

void wait_for_reports(int count)
{
	expected = count;
	CHECK(host_serve_until(all_reported));
	CHECK(reported == count);
}

evi_reply_sock *parse(const char *text)
{
	str socket = { (char *)text, strlen(text) };

	return host_transport()->parse(socket);
}

evi_param_t param(const char *name, const char *text, int len, int number)
{
	evi_param_t param;

	memset(&param, 0, sizeof param);
	param.flags = text ? EVI_STR_VAL : EVI_INT_VAL;
	param.name.s = (char *)name;
	param.name.len = name ? strlen(name) : 0;
	if (text) {
		param.val.s.s = (char *)text;
		param.val.s.len = len;
	} else {
		param.val.n = number;
	}
	return param;
}

int raise_for(struct sip_msg *msg, evi_reply_sock *sock, const char *name,
	evi_param_t *all, int count, evi_async_ctx_t *async)
{
	evi_async_ctx_t none = { NULL, NULL };
	evi_params_t params = { count ? all : NULL };
	str event = { (char *)name, strlen(name) };
	int i;

	for (i = 0; i + 1 < count; i++)
		all[i].next = &all[i + 1];
	return host_transport()->raise(msg, &event, sock, &params, async ? async : &none);
}
