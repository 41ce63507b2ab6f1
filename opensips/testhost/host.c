/*
 * What core.h declares, and the host around it. It is as strict as OpenSIPS: memory that is freed
 * twice ends the process at once.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "host.h"

#define SHM_SIZE (512ul << 20)
#define MOST_AVPS 64
/* As OpenSIPS: then what has not ended is killed. */
#define END_MS 5000
#define PATIENCE_MS 30000

/* What all processes have in common. */
static struct shared {
	gen_lock_t lock;
	size_t used;
	long pieces;
	volatile enum sr_core_states state;
	volatile pid_t module_process;
	/* So many jobs cannot be dispatched from now on. */
	volatile int undispatchable;
	_Alignas(16) char memory[];
} *shared;

/* Before each piece of shared memory. */
struct piece {
	unsigned long magic, size;
};

#define IN_USE 0x70696563656f6eul
#define FREED 0x66726565642121ul

static struct module_exports *module;
static const evi_export_t *transport;
static struct os_script_routes all_routes;
static int ipc[2];
static char call_id_text[] = "call-1@testhost", dummy_text[] = "dummy-1";
static struct hdr_field call_id = { str_init(call_id_text) };
static struct hdr_field dummy_call_id = { str_init(dummy_text) };
static char avp_names[MOST_AVPS][32];
static struct usr_avp *no_avps, **avps = &no_avps;

struct os_script_routes *sroutes = &all_routes;
int route_type;

/* The log */

void host_log(const char *level, const char *format, ...)
{
	char line[2048];
	int size = snprintf(line, sizeof line, "[%d] %s:", (int)getpid(), level);
	va_list arguments;

	va_start(arguments, format);
	size += vsnprintf(line + size, sizeof line - size, format, arguments);
	va_end(arguments);
	if (size > (int)sizeof line)
		size = sizeof line;
	/* In one piece, whoever else writes. */
	if (write(2, line, size) < 0)
		abort();
}

void suppress_proc_log_event(void)
{
}

/* Memory */

gen_lock_t *lock_init(gen_lock_t *lock)
{
	*lock = 0;
	return lock;
}

void lock_get(gen_lock_t *lock)
{
	while (__sync_lock_test_and_set(lock, 1))
		sched_yield();
}

void lock_release(gen_lock_t *lock)
{
	__sync_lock_release(lock);
}

/* How many pieces this process still gets before it is refused one; negative: none is refused. */
static int until_refusal = -1;

void host_refuse_piece(int number)
{
	until_refusal = number;
}

int host_has_refused(void)
{
	return until_refusal < 0;
}

/* Never gives a piece out twice, so that whoever uses a freed one is seen. */
void *shm_malloc(unsigned long size)
{
	struct piece *piece = NULL;
	size_t needed = sizeof *piece + ((size + 15) & ~15ul);

	if (until_refusal >= 0 && until_refusal-- == 0)
		return NULL;
	lock_get(&shared->lock);
	if (shared->used + needed <= SHM_SIZE) {
		piece = (struct piece *)(shared->memory + shared->used);
		shared->used += needed;
		shared->pieces++;
		piece->magic = IN_USE;
		piece->size = size;
	}
	lock_release(&shared->lock);
	return piece ? memset(piece + 1, 0x55, size) : NULL;
}

void shm_free(void *start)
{
	struct piece *piece = (struct piece *)start - 1;

	if (piece->magic != IN_USE) {
		host_log("CRITICAL", "shm_free: %p is %s\n", start,
			piece->magic == FREED ? "freed already" : "no piece of shared memory");
		abort();
	}
	memset(start, 0xaa, piece->size);
	piece->magic = FREED;
	lock_get(&shared->lock);
	shared->pieces--;
	lock_release(&shared->lock);
}

long host_shm_pieces(void)
{
	return shared->pieces;
}

/* States and processes */

enum sr_core_states sr_get_core_status(void)
{
	return shared->state;
}

static struct process_table this_process = { TYPE_UDP };
struct process_table *pt = &this_process;
int process_no = 0;

void host_become(enum process_type type)
{
	this_process.type = type;
}

struct job {
	ipc_rpc_f *function;
	void *param;
};

int ipc_dispatch_rpc(ipc_rpc_f *function, void *param)
{
	struct job job = { function, param };

	if (shared->undispatchable > 0) {
		shared->undispatchable--;
		return -1;
	}
	return write(ipc[1], &job, sizeof job) == sizeof job ? 0 : -1;
}

void host_refuse_jobs(int count)
{
	shared->undispatchable = count;
}

int host_refused_jobs_left(void)
{
	return shared->undispatchable;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int host_serve_until(int (*is_enough)(void))
{
	long deadline = now_ms() + PATIENCE_MS, left;
	struct pollfd readable = { .fd = ipc[0], .events = POLLIN };
	struct job job;

	while (!is_enough()) {
		left = deadline - now_ms();
		if (left <= 0)
			return 0;
		if (poll(&readable, 1, left < 10 ? left : 10) <= 0)
			continue;
		if (read(ipc[0], &job, sizeof job) == sizeof job)
			job.function(0, job.param);
	}
	return 1;
}

static int end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static pid_t start(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		run();
		exit(0);
	}
	return pid;
}

int host_in_process(void (*run)(void))
{
	return end_of(start(run));
}

int host_in_processes(int count, void (*run)(void))
{
	pid_t pids[16];
	int i, status = 0;

	assert(count <= 16);
	for (i = 0; i < count; i++)
		pids[i] = start(run);
	for (i = 0; i < count; i++)
		status |= end_of(pids[i]);
	return status;
}

int host_module_process(void)
{
	return shared->module_process;
}

/* Messages */

int parse_headers(struct sip_msg *msg, int wanted, int next)
{
	(void)wanted;
	(void)next;
	msg->callid = msg->unparsed_callid;
	return 0;
}

struct sip_msg *host_message(void)
{
	static struct sip_msg msg;

	msg = (struct sip_msg){ .unparsed_callid = &call_id };
	return &msg;
}

static int dummies, refused_dummies;

int host_dummies(void)
{
	return dummies;
}

void host_refuse_dummies(int count)
{
	refused_dummies = count;
}

struct sip_msg *get_dummy_sip_msg(void)
{
	struct sip_msg *msg = refused_dummies > 0 ? NULL : calloc(1, sizeof *msg);

	refused_dummies -= refused_dummies > 0;
	if (msg) {
		dummies++;
		msg->unparsed_callid = &dummy_call_id;
		msg->is_dummy = 1;
	}
	return msg;
}

void release_dummy_sip_msg(struct sip_msg *msg)
{
	assert(msg->is_dummy);
	dummies--;
	free(msg);
}

int is_dummy_sip_msg(struct sip_msg *msg)
{
	return msg && msg->is_dummy ? 0 : -1;
}

/* Routes */

int get_script_route_ID_by_name_str(str *name, struct script_route *routes, int size)
{
	int i;

	for (i = 1; i < size && routes[i].name; i++) {
		if ((int)strlen(routes[i].name) == name->len
				&& !strncmp(routes[i].name, name->s, name->len))
			return i;
	}
	return -1;
}

int run_top_route(struct script_route route, struct sip_msg *msg)
{
	assert(route_type == REQUEST_ROUTE);
	route.run(msg);
	return 1;
}

void host_route(const char *name, void (*run)(struct sip_msg *msg))
{
	int i;

	for (i = 1; i < RT_NO; i++) {
		struct script_route *route = &all_routes.request[i];

		if (route->name && strcmp(route->name, name))
			continue;
		route->name = (char *)name;
		route->run = run;
		return;
	}
	abort();
}

void host_no_routes(void)
{
	memset(&all_routes, 0, sizeof all_routes);
}

/* Variables of scripts */

int parse_avp_spec(const str *name, int *id)
{
	int i;

	for (i = 0; i < MOST_AVPS; i++) {
		if (!avp_names[i][0])
			snprintf(avp_names[i], sizeof avp_names[i], "%.*s", name->len, name->s);
		if (!strncmp(avp_names[i], name->s, name->len) && !avp_names[i][name->len]) {
			*id = i + 1;
			return 0;
		}
	}
	return -1;
}

struct usr_avp *new_avp(unsigned short flags, int id, int_str value)
{
	size_t size = flags & AVP_VAL_STR ? value.s.len : 0;
	struct usr_avp *avp;

	assert(id > 0);
	avp = shm_malloc(sizeof *avp + size);
	if (!avp)
		return NULL;
	*avp = (struct usr_avp){ .id = id, .flags = flags, .value = value };
	if (flags & AVP_VAL_STR) {
		avp->value.s.s = (char *)(avp + 1);
		memcpy(avp->value.s.s, value.s.s, size);
	}
	return avp;
}

struct usr_avp **set_avp_list(struct usr_avp **list)
{
	struct usr_avp **before = avps;

	avps = list;
	return before;
}

void destroy_avp_list(struct usr_avp **list)
{
	struct usr_avp *avp, *next;

	for (avp = *list; avp; avp = next) {
		next = avp->next;
		shm_free(avp);
	}
	*list = NULL;
}

/* The first one that is told. */
static struct usr_avp *search_from(struct usr_avp *avp, int id, int_str *value)
{
	for (; avp; avp = avp->next) {
		if (avp->id == id) {
			*value = avp->value;
			return avp;
		}
	}
	return NULL;
}

struct usr_avp *search_first_avp(unsigned short flags, int id, int_str *value,
	struct usr_avp *start)
{
	(void)flags;
	return search_from(start ? start->next : *avps, id, value);
}

struct usr_avp *search_next_avp(struct usr_avp *avp, int_str *value)
{
	return search_from(avp->next, avp->id, value);
}

int pv_get_avp_name(struct sip_msg *msg, pv_param_p name, int *id, unsigned short *flags)
{
	(void)msg;
	*id = name->avp_id;
	*flags = 0;
	return 0;
}

static void add_avp_of(const char *name, unsigned short flags, int_str value)
{
	str spec = { (char *)name, strlen(name) };
	struct usr_avp *avp;
	int id;

	assert(parse_avp_spec(&spec, &id) == 0);
	avp = new_avp(flags, id, value);
	assert(avp);
	avp->next = *avps;
	*avps = avp;
}

void host_add_avp(const char *name, const char *text, int number)
{
	int_str value = { .n = number };

	if (text)
		value.s = (str){ (char *)text, strlen(text) };
	add_avp_of(name, text ? AVP_VAL_STR : 0, value);
}

void host_add_null(const char *name)
{
	add_avp_of(name, AVP_VAL_NULL, (int_str){ .n = 0 });
}

const char *host_avp(const char *name)
{
	static char text[4096];
	struct usr_avp *avp;

	for (avp = *avps; avp; avp = avp->next) {
		if (strcmp(avp_names[avp->id - 1], name))
			continue;
		if (avp->flags & AVP_VAL_STR)
			snprintf(text, sizeof text, "%.*s", avp->value.s.len, avp->value.s.s);
		else
			snprintf(text, sizeof text, "%d", avp->value.n);
		return text;
	}
	return "(none)";
}

/* Events */

int register_event_mod(const evi_export_t *registered)
{
	transport = registered;
	return 0;
}

const evi_export_t *host_transport(void)
{
	return transport;
}

/* The event that the module has; who is told of it in this process, and by way of which socket. */
static str published_event;
static void (*told_event)(const evi_params_t *params);
static evi_reply_sock *subscribed_sockets[4];

event_id_t evi_publish_event(str name)
{
	assert(!published_event.s);
	published_event = name;
	return 0;
}

int evi_probe_event(event_id_t event)
{
	assert(event == 0);
	return told_event != NULL;
}

evi_params_p evi_get_params(void)
{
	return calloc(1, sizeof(evi_params_t));
}

void evi_free_params(evi_params_p params)
{
	evi_param_t *param, *next;

	for (param = params->first; param; param = next) {
		next = param->next;
		free(param->name.s);
		if (param->flags & EVI_STR_VAL)
			free(param->val.s.s);
		free(param);
	}
	free(params);
}

static str copy_of(const str *text)
{
	str copy = { malloc(text->len + 1), text->len };

	assert(copy.s);
	memcpy(copy.s, text->s, text->len);
	copy.s[text->len] = '\0';
	return copy;
}

int evi_param_add(evi_params_p params, const str *name, const void *value, int kind)
{
	evi_param_t **last = &params->first, *param = calloc(1, sizeof *param);

	assert(param);
	param->flags = kind;
	param->name = copy_of(name);
	if (kind & EVI_STR_VAL)
		param->val.s = copy_of(value);
	else
		param->val.n = *(const int *)value;
	while (*last)
		last = &(*last)->next;
	*last = param;
	return 0;
}

int evi_raise_event(event_id_t event, evi_params_p params)
{
	evi_async_ctx_t async = { NULL, NULL };
	struct sip_msg *msg = get_dummy_sip_msg();
	int i, result = 0;

	assert(event == 0 && msg);
	told_event(params);
	for (i = 0; i < 4 && subscribed_sockets[i]; i++) {
		if (transport->raise(msg, &published_event, subscribed_sockets[i], params, &async) < 0)
			result = -1;
	}
	release_dummy_sip_msg(msg);
	evi_free_params(params);
	return result;
}

void host_subscribe(void (*tell)(const evi_params_t *params), evi_reply_sock *sock)
{
	int i = 0;

	told_event = tell;
	while (subscribed_sockets[i])
		i++;
	assert(i < 4);
	subscribed_sockets[i] = sock;
}

/* Modules */

int host_modparam(const char *name, const char *value)
{
	const param_export_t *param;

	for (param = module->params; param->name; param++) {
		if (strcmp(param->name, name))
			continue;
		if (param->type & USE_FUNC_PARAM) {
			int (*set)(modparam_t, void *);

			memcpy(&set, &param->param_pointer, sizeof set);
			return set(STR_PARAM, (void *)value);
		}
		assert(param->type == INT_PARAM);
		*(int *)param->param_pointer = atoi(value);
		return 0;
	}
	return -1;
}

/* What the core makes of an argument; an AVP is given by its name. */
union argument {
	str text;
	int number;
	pv_spec_t variable;
};

static void *read_argument(int flags, const char *given, union argument *read)
{
	str name = { (char *)given, strlen(given) };

	if (flags & CMD_PARAM_INT) {
		read->number = atoi(given);
	} else if (flags & CMD_PARAM_VAR) {
		memset(read, 0, sizeof *read);
		read->variable.type = *given == '#' ? PVT_SCRIPTVAR : PVT_AVP;
		read->variable.pvp.pvi.type = *given == '[' ? PV_IDX_INT : 0;
		read->variable.trans = *given == '{' ? read : NULL;
		assert(parse_avp_spec(&name, &read->variable.pvp.avp_id) == 0);
	} else {
		read->text = name;
	}
	return read;
}

/* Literal arguments that a fixup leaves as they are stay texts, as in OpenSIPS. */
static int call(const char *function, const char *const *arguments, int fixed_each_time)
{
	const cmd_export_t *command = module->cmds;
	const struct cmd_param *param;
	union argument read[MAX_CMD_PARAMS];
	void *values[MAX_CMD_PARAMS] = { NULL };
	int i;

	while (command->name && strcmp(command->name, function))
		command++;
	assert(command->name);
	for (i = 0, param = command->params; param->flags; i++, param++) {
		if (!arguments[i]) {
			assert(param->flags & CMD_PARAM_OPT);
			continue;
		}
		values[i] = read_argument(param->flags, arguments[i], &read[i]);
		if (param->fixup && param->fixup(&values[i]) < 0)
			return fixed_each_time && !(param->flags & CMD_PARAM_STATIC) ? -1 : HOST_NO_START;
	}
	return command->function(host_message(), values[0], values[1], values[2], values[3], values[4],
		values[5], values[6], values[7]);
}

int host_call(const char *function, const char *const *arguments)
{
	return call(function, arguments, 0);
}

int host_call_by_variables(const char *function, const char *const *arguments)
{
	return call(function, arguments, 1);
}

/* Management */

/* JSON, as far as it has come; the brackets that are open are closed when it is shown. */
struct mi_item {
	char close;
	int count;
	char *text;
	size_t size;
	/* The last of those inside that are open. */
	struct mi_item *inside;
};

static struct mi_item *new_item(char close)
{
	struct mi_item *item = calloc(1, sizeof *item);

	assert(item);
	item->close = close;
	return item;
}

static void write_json(struct mi_item *item, const char *format, ...)
{
	char piece[4096];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(piece, sizeof piece, format, arguments);
	va_end(arguments);
	assert(size >= 0 && size < (int)sizeof piece);
	item->text = realloc(item->text, item->size + size + 1);
	assert(item->text);
	memcpy(item->text + item->size, piece, size + 1);
	item->size += size;
}

/* An item that is written is whole: nothing comes to it any more. */
static void close_inside(struct mi_item *item)
{
	struct mi_item *inside = item->inside;

	if (!inside)
		return;
	close_inside(inside);
	item->inside = NULL;
	item->text = realloc(item->text, item->size + inside->size + 3);
	assert(item->text);
	item->size += sprintf(item->text + item->size, "%c%s%c", inside->close == ']' ? '[' : '{',
		inside->text ? inside->text : "", inside->close);
	free(inside->text);
	free(inside);
}

static void begin_value(struct mi_item *to, const char *name, int len)
{
	/* Only what is in an array has no name. */
	assert((to->close == ']') == (name == NULL));
	close_inside(to);
	write_json(to, "%s", to->count++ ? "," : "");
	if (name)
		write_json(to, "\"%.*s\":", len, name);
}

mi_response_t *init_mi_result_object(mi_item_t **object)
{
	*object = new_item('}');
	return *object;
}

mi_response_t *init_mi_error(int code, const char *text, int len)
{
	mi_response_t *response = new_item('}');

	write_json(response, "\"error\":{\"code\":%d,\"message\":\"%.*s\"}", code, len, text);
	return response;
}

mi_response_t *init_mi_param_error(void)
{
	return init_mi_error(-32602, MI_SSTR("Invalid params"));
}

void free_mi_response(mi_response_t *response)
{
	close_inside(response);
	free(response->text);
	free(response);
}

static mi_item_t *add_item(mi_item_t *to, char *name, int len, char close)
{
	begin_value(to, name, len);
	return to->inside = new_item(close);
}

mi_item_t *add_mi_array(mi_item_t *to, char *name, int len)
{
	return add_item(to, name, len, ']');
}

mi_item_t *add_mi_object(mi_item_t *to, char *name, int len)
{
	return add_item(to, name, len, '}');
}

int add_mi_string(mi_item_t *to, char *name, int len, const char *text, int text_len)
{
	begin_value(to, name, len);
	write_json(to, "\"%.*s\"", text_len, text);
	return 0;
}

int add_mi_number(mi_item_t *to, char *name, int len, double number)
{
	begin_value(to, name, len);
	write_json(to, "%.15g", number);
	return 0;
}

int add_mi_bool(mi_item_t *to, char *name, int len, int yes)
{
	begin_value(to, name, len);
	write_json(to, yes ? "true" : "false");
	return 0;
}

int get_mi_int_param(const mi_params_t *params, char *name, int *number)
{
	(void)params;
	(void)name;
	(void)number;
	return -1;
}

int get_mi_string_param(const mi_params_t *params, char *name, char **text, int *len)
{
	if (!params->name || strcmp(params->name, name))
		return -1;
	*text = (char *)params->value;
	*len = strlen(params->value);
	return 0;
}

const char *host_manage(const char *command, const char *name, const char *value)
{
	static char answer[65536];
	const mi_export_t *known = module->mi_cmds;
	const mi_params_t params = { name, value };
	const mi_recipe_t *recipe;
	mi_response_t *response;

	while (known->name && strcmp(known->name, command))
		known++;
	assert(known->name);
	for (recipe = known->recipes; recipe->cmd; recipe++) {
		if (name ? recipe->params[0] && !strcmp(recipe->params[0], name) : !recipe->params[0])
			break;
	}
	assert(recipe->cmd);
	response = recipe->cmd(&params, NULL);
	assert(response);
	close_inside(response);
	snprintf(answer, sizeof answer, "{%s}", response->text ? response->text : "");
	free_mi_response(response);
	return answer;
}

unsigned long host_statistic(const char *name)
{
	const stat_export_t *known = module->stats;
	unsigned long (*read)(void *);

	while (known->name && strcmp(known->name, name))
		known++;
	assert(known->name && known->flags == STAT_IS_FUNC);
	memcpy(&read, &known->stat_pointer, sizeof read);
	return read(NULL);
}

/* The life of a host */

static void load(const char *file)
{
	void *loaded = dlopen(file, RTLD_NOW);

	if (!loaded) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	module = dlsym(loaded, "exports");
	assert(module && !strcmp(module->name, "event_kafka"));
}

/* The core's: SIGTERM counts only while it ends. */
static void on_term(int signal)
{
	(void)signal;
	if (shared->state == STATE_TERMINATING)
		_exit(0);
}

static int is_module_process_late;

void host_have_module_process_late(void)
{
	is_module_process_late = 1;
}

/* Whether SIGTERM came and is blocked. */
static int is_term_pending(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM);
}

static void in_module_process(void)
{
	while (is_module_process_late && !is_term_pending())
		usleep(1000);
	module->procs->function(0);
}

void host_start_module_process(void)
{
	const proc_export_t *process = module->procs;

	assert(process->no == 1 && process->flags == 0);
	assert(!process->pre_fork_function || process->pre_fork_function() == 0);
	shared->module_process = start(in_module_process);
	assert(!process->post_fork_function || process->post_fork_function() == 0);
}

int host_kill_module_process(void)
{
	struct pollfd ended = { .events = POLLIN };
	int has_ended;

	/* Who asks is not its parent, and cannot wait for it otherwise. */
	ended.fd = syscall(SYS_pidfd_open, shared->module_process, 0);
	has_ended = ended.fd >= 0 && kill(shared->module_process, SIGKILL) == 0
		&& poll(&ended, 1, PATIENCE_MS) == 1;
	close(ended.fd);
	return has_ended;
}

static int has_ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/* As OpenSIPS: SIGTERM, and SIGKILL for what has not ended in time. Whether all went well. */
static int end(void)
{
	long deadline = now_ms() + END_MS;
	int status;

	shared->state = STATE_TERMINATING;
	kill(shared->module_process, SIGTERM);
	while (!has_ended(shared->module_process, &status)) {
		if (now_ms() > deadline) {
			kill(shared->module_process, SIGKILL);
			end_of(shared->module_process);
			fprintf(stderr, "the process of the module did not end in time\n");
			return 0;
		}
		usleep(1000);
	}
	if (module->destroy_f)
		module->destroy_f();
	if (status)
		fprintf(stderr, "the process of the module ended with %#x\n", status);
	return status == 0;
}

static int run(const struct host_case *what)
{
	int status;

	if (what->configure)
		what->configure();
	if (module->init_f() < 0)
		return what->starts ? 0 : 1;
	if (!what->starts) {
		fprintf(stderr, "it started, and should not have\n");
		return 0;
	}
	host_start_module_process();
	status = host_in_process(what->run);
	if (status)
		fprintf(stderr, "the process of %s ended with %#x\n", what->name, status);
	return end() && status == 0;
}

const char *host_bootstrap;

static const struct host_case *find_case(const char *name)
{
	static const struct host_case *const lists[] = { host_cases, host_troubles };
	const struct host_case *what;
	size_t i;

	for (i = 0; i < sizeof lists / sizeof *lists; i++) {
		for (what = lists[i]; what->name; what++) {
			if (!strcmp(what->name, name))
				return what;
		}
	}
	return NULL;
}

/* Runs a case with a module and brokers. */
int main(int count, char **arguments)
{
	const struct host_case *what;

	if (count != 4)
		return 2;
	host_bootstrap = arguments[3];
	shared = mmap(NULL, sizeof *shared + SHM_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED || pipe(ipc) < 0)
		return 2;
	signal(SIGTERM, on_term);
	signal(SIGPIPE, SIG_IGN);
	/* Also that of a case that has started another process of the module. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	load(arguments[1]);
	what = find_case(arguments[2]);
	if (!what)
		return 2;
	return run(what) ? 0 : 1;
}
