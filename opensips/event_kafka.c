/*
 * The module as OpenSIPS sees it: its parameters, its functions, its process, its start.
 */
#include "module.h"

/* The core's pipe holds some 2700 jobs, and its writer waits where it is full. */
#define MOST_REPORTS 2000
/* The core kills what has not ended after 5 s. */
#define MOST_DRAIN_TIME 4800

event_kafka_area_t kafka_area;

int kafka_strict = 1;
int kafka_full_wait = 0;
int kafka_drain_time = 4000;
int kafka_log_level = L_DBG;

/* 0: the library's default. A lane holds a burst of 100,000 messages. */
static int lanes = 256;
static int lane_size = 16 << 20;
static int sockets = 0;
static int socket_size = 0;
static int reports = 0;
static int report_size = 0;

static int mod_init(void);

static EXPORTED param_export_t params[] = {
	{ "broker_id", STR_PARAM | USE_FUNC_PARAM, (void *)kafka_broker_param },
	{ "lanes", INT_PARAM, &lanes },
	{ "lane_size", INT_PARAM, &lane_size },
	{ "sockets", INT_PARAM, &sockets },
	{ "socket_size", INT_PARAM, &socket_size },
	{ "reports", INT_PARAM, &reports },
	{ "report_size", INT_PARAM, &report_size },
	{ "full_wait", INT_PARAM, &kafka_full_wait },
	{ "drain_time", INT_PARAM, &kafka_drain_time },
	{ "strict", INT_PARAM, &kafka_strict },
	{ "log_level", INT_PARAM, &kafka_log_level },
	{ 0, 0, 0 },
};

static EXPORTED cmd_export_t cmds[] = {
	{ "kafka_publish", (cmd_function)kafka_publish, {
		{ CMD_PARAM_STR, kafka_broker_fixup, 0 },
		{ CMD_PARAM_STR, 0, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT, 0, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT | CMD_PARAM_STATIC, kafka_report_route_fixup, 0 },
		{ 0, 0, 0 } },
		ALL_ROUTES },
	{ "kafka_publish_ex", (cmd_function)kafka_publish_ex, {
		{ CMD_PARAM_STR, kafka_broker_fixup, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT, 0, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT, 0, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT, 0, 0 },
		{ CMD_PARAM_VAR | CMD_PARAM_OPT, kafka_headers_fixup, 0 },
		{ CMD_PARAM_VAR | CMD_PARAM_OPT, kafka_headers_fixup, 0 },
		{ CMD_PARAM_INT | CMD_PARAM_OPT, 0, 0 },
		{ CMD_PARAM_STR | CMD_PARAM_OPT | CMD_PARAM_STATIC, kafka_report_route_fixup, 0 },
		{ 0, 0, 0 } },
		ALL_ROUTES },
	{ 0, 0, { { 0, 0, 0 } }, 0 },
};

static EXPORTED mi_export_t mi_commands[] = {
	{ .name = "kafka_status",
		.help = "how Kafka sockets are: all, or one by its broker_id or address",
		.recipes = {
			{ kafka_mi_status, { 0 } },
			{ kafka_mi_status_of, { "socket", 0 } },
			{ EMPTY_MI_RECIPE } } },
	{ .name = "kafka_flush",
		.help = "sends what Kafka sockets hold without lingering, and says what became of it",
		.recipes = {
			{ kafka_mi_flush, { 0 } },
			{ kafka_mi_flush_of, { "socket", 0 } },
			{ kafka_mi_flush_within, { "socket", "timeout", 0 } },
			{ EMPTY_MI_RECIPE } } },
	{ EMPTY_MI_EXPORT },
};

/* Without flags: see worker.c. */
static EXPORTED proc_export_t procs[] = {
	{ "Kafka worker", kafka_before_worker, kafka_after_worker, kafka_worker, 1, 0 },
	{ 0, 0, 0, 0, 0, 0 },
};

struct module_exports exports = {
	.name = "event_kafka",
	.type = MOD_TYPE_DEFAULT,
	MODULE_VERSION,
	.dlflags = DEFAULT_DLFLAGS,
	.cmds = cmds,
	.params = params,
	.stats = kafka_statistics,
	.mi_cmds = mi_commands,
	.procs = procs,
	.init_f = mod_init,
	.destroy_f = kafka_destroy,
};

/* Whether a parameter is within its bounds. */
static int is_within(const char *name, int value, int least, int most)
{
	if (value >= least && value <= most)
		return 1;
	LM_ERR("modparam %s is %d, and has to be %d to %d\n", name, value, least, most);
	return 0;
}

static int make_area(void)
{
	event_kafka_area_sizes_t sizes = {
		.lanes = lanes,
		.lane_bytes = lane_size,
		.sockets = sockets,
		.socket_bytes = socket_size,
		.report_slots = reports,
		.report_bytes = report_size,
	};
	char why[KAFKA_TEXT_SIZE];

	if (event_kafka_area_create(&sizes, &kafka_area, why, sizeof why)) {
		LM_ERR("no memory to share: %s\n", why);
		return -1;
	}
	return 0;
}

/* In the first process, before it forks: all that is shared is made here, and no threads. */
static int mod_init(void)
{
	if (!is_within("lanes", lanes, 0, 4095)
			|| !is_within("lane_size", lane_size, 0, 1 << 30)
			|| !is_within("sockets", sockets, 0, 1 << 16)
			|| !is_within("socket_size", socket_size, 0, 1 << 20)
			|| !is_within("reports", reports, 0, MOST_REPORTS)
			|| !is_within("report_size", report_size, 0, 16 << 20)
			|| !is_within("full_wait", kafka_full_wait, 0, 60000)
			|| !is_within("drain_time", kafka_drain_time, 0, MOST_DRAIN_TIME)
			|| !is_within("strict", kafka_strict, 0, 1)
			|| !is_within("log_level", kafka_log_level, L_ERR, L_DBG))
		return -1;
	if (make_area() < 0 || kafka_define_brokers() < 0 || kafka_init_reports() < 0
			|| kafka_init_worker() < 0 || kafka_init_news() < 0)
		return -1;
	return kafka_init_subscriptions();
}
