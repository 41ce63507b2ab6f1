/*
 * What the module uses of OpenSIPS, declared anew: the names are OpenSIPS', and things have no more
 * parts than the module looks at. host.c defines them, so that the module runs without OpenSIPS.
 */
#ifndef TESTHOST_CORE_H
#define TESTHOST_CORE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	char *s;
	int len;
} str;

#define str_init(literal) { (literal), sizeof(literal) - 1 }

#define E_OUT_OF_MEM (-2)
#define E_CFG (-6)

/* The log */

void host_log(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum { L_ERR = -1, L_WARN = 1, L_NOTICE, L_INFO, L_DBG };

#define LM_ERR(...) host_log("ERROR", __VA_ARGS__)
#define LM_WARN(...) host_log("WARNING", __VA_ARGS__)
#define LM_NOTICE(...) host_log("NOTICE", __VA_ARGS__)
#define LM_INFO(...) host_log("INFO", __VA_ARGS__)
#define LM_DBG(...) host_log("DBG", __VA_ARGS__)

void suppress_proc_log_event(void);

/* Memory: of a process, and of all */

#define pkg_malloc(size) malloc(size)
#define pkg_free(start) free(start)
void *shm_malloc(unsigned long size);
void shm_free(void *start);

typedef volatile int gen_lock_t;

gen_lock_t *lock_init(gen_lock_t *lock);
void lock_get(gen_lock_t *lock);
void lock_release(gen_lock_t *lock);

/* States and processes */

enum sr_core_states { STATE_RUNNING, STATE_TERMINATING };

enum sr_core_states sr_get_core_status(void);

enum process_type { TYPE_NONE, TYPE_UDP, TYPE_TCP, TYPE_TIMER, TYPE_MODULE };

struct process_table {
	enum process_type type;
};

extern struct process_table *pt;
extern int process_no;

typedef void (ipc_rpc_f)(int sender, void *param);

int ipc_dispatch_rpc(ipc_rpc_f *function, void *param);

/* Messages */

struct hdr_field {
	str body;
};

struct sip_msg {
	struct hdr_field *callid;
	/* What becomes of callid when the headers are parsed; for the host alone. */
	struct hdr_field *unparsed_callid;
	int is_dummy;
};

#define HDR_CALLID_F 1

int parse_headers(struct sip_msg *msg, int wanted, int next);
struct sip_msg *get_dummy_sip_msg(void);
void release_dummy_sip_msg(struct sip_msg *msg);
int is_dummy_sip_msg(struct sip_msg *msg);

/* Routes */

struct script_route {
	char *name;
	void (*run)(struct sip_msg *msg);
};

#define RT_NO 8
#define REQUEST_ROUTE 1
#define ALL_ROUTES 0xff

struct os_script_routes {
	/* From 1. */
	struct script_route request[RT_NO];
};

extern struct os_script_routes *sroutes;
extern int route_type;

#define set_route_type(new_type) (route_type = (new_type))
#define swap_route_type(before, new_type) ((before) = route_type, route_type = (new_type))

int get_script_route_ID_by_name_str(str *name, struct script_route *routes, int size);
int run_top_route(struct script_route route, struct sip_msg *msg);

/* Variables of scripts */

typedef union {
	int n;
	str s;
} int_str;

struct usr_avp {
	int id;
	unsigned short flags;
	struct usr_avp *next;
	int_str value;
};

#define AVP_VAL_STR 2
#define AVP_VAL_NULL 4

int parse_avp_spec(const str *name, int *id);
struct usr_avp *search_first_avp(unsigned short flags, int id, int_str *value,
	struct usr_avp *start);
struct usr_avp *search_next_avp(struct usr_avp *avp, int_str *value);
struct usr_avp *new_avp(unsigned short flags, int id, int_str value);
struct usr_avp **set_avp_list(struct usr_avp **list);
void destroy_avp_list(struct usr_avp **list);

enum pv_type { PVT_NONE, PVT_AVP, PVT_SCRIPTVAR };

#define PV_IDX_ALL 2
#define PV_IDX_INT 3

typedef struct {
	int avp_id;
	struct {
		int type;
	} pvi;
} pv_param_t, *pv_param_p;

typedef struct {
	enum pv_type type;
	pv_param_t pvp;
	void *trans;
} pv_spec_t;

int pv_get_avp_name(struct sip_msg *msg, pv_param_p name, int *id, unsigned short *flags);

/* Events */

#define EVI_ADDRESS 2
#define EVI_PARAMS 16
#define EVI_EXPIRE 256
#define EVI_ASYNC_STATUS 1024

#define EVI_INT_VAL 1
#define EVI_STR_VAL 2

typedef struct evi_param {
	int flags;
	union {
		int n;
		str s;
	} val;
	str name;
	struct evi_param *next;
} evi_param_t;

typedef struct {
	evi_param_t *first;
} evi_params_t;

typedef struct {
	unsigned int flags;
	str address;
	void *params;
} evi_reply_sock;

enum evi_status { EVI_STATUS_FAIL = -1, EVI_STATUS_SUCCESS };

typedef void (*evi_status_cb)(void *param, enum evi_status status);

typedef struct {
	evi_status_cb status_cb;
	void *cb_param;
} evi_async_ctx_t;

typedef struct {
	str proto;
	int (*raise)(struct sip_msg *msg, str *event, evi_reply_sock *sock, evi_params_t *params,
		evi_async_ctx_t *async);
	evi_reply_sock *(*parse)(str text);
	int (*match)(evi_reply_sock *one, evi_reply_sock *other);
	void (*free)(evi_reply_sock *sock);
	str (*print)(evi_reply_sock *sock);
	unsigned int flags;
} evi_export_t;

int register_event_mod(const evi_export_t *transport);

typedef int event_id_t;
typedef evi_params_t *evi_params_p;

#define EVI_ERROR (-1)

event_id_t evi_publish_event(str name);
int evi_probe_event(event_id_t event);
int evi_raise_event(event_id_t event, evi_params_p params);
evi_params_p evi_get_params(void);
void evi_free_params(evi_params_p params);
int evi_param_add(evi_params_p params, const str *name, const void *value, int kind);

#define evi_param_add_int(params, name, value) evi_param_add(params, name, value, EVI_INT_VAL)
#define evi_param_add_str(params, name, value) evi_param_add(params, name, value, EVI_STR_VAL)

/* Management: answers are trees, of which the host makes JSON */

typedef struct mi_item mi_item_t;
typedef struct mi_item mi_response_t;
typedef struct mi_params {
	/* The only one. */
	const char *name, *value;
} mi_params_t;
struct mi_handler;
typedef mi_response_t *(mi_cmd_f)(const mi_params_t *params, struct mi_handler *async);

#define MI_SSTR(text) text, sizeof(text) - 1
#define MAX_MI_PARAMS 10
#define MAX_MI_RECIPES 48

mi_response_t *init_mi_result_object(mi_item_t **object);
mi_response_t *init_mi_error(int code, const char *text, int len);
mi_response_t *init_mi_param_error(void);
void free_mi_response(mi_response_t *response);
mi_item_t *add_mi_array(mi_item_t *to, char *name, int len);
mi_item_t *add_mi_object(mi_item_t *to, char *name, int len);
int add_mi_string(mi_item_t *to, char *name, int len, const char *text, int text_len);
int add_mi_number(mi_item_t *to, char *name, int len, double number);
int add_mi_bool(mi_item_t *to, char *name, int len, int yes);
int get_mi_int_param(const mi_params_t *params, char *name, int *number);
int get_mi_string_param(const mi_params_t *params, char *name, char **text, int *len);

typedef struct {
	mi_cmd_f *cmd;
	char *params[MAX_MI_PARAMS];
} mi_recipe_t;

#define EMPTY_MI_RECIPE 0, { 0 }

typedef struct {
	char *name;
	char *help;
	unsigned int flags;
	int (*init_f)(void);
	mi_recipe_t recipes[MAX_MI_RECIPES];
	const char *aliases[4];
} mi_export_t;

#define EMPTY_MI_EXPORT 0, 0, 0, 0, { { EMPTY_MI_RECIPE } }, { 0 }

/* Statistics: functions all of them */

typedef struct stat_var stat_var;

#define STAT_IS_FUNC 8

typedef struct {
	char *name;
	unsigned short flags;
	stat_var **stat_pointer;
} stat_export_t;

/* Modules */

typedef unsigned int modparam_t;

#define STR_PARAM 1u
#define INT_PARAM 2u
#define USE_FUNC_PARAM (1u << 31)

typedef struct {
	const char *name;
	modparam_t type;
	void *param_pointer;
} param_export_t;

#define CMD_PARAM_INT 1
#define CMD_PARAM_STR 2
#define CMD_PARAM_VAR 4
#define CMD_PARAM_OPT 16
#define CMD_PARAM_STATIC 128
#define MAX_CMD_PARAMS 8

typedef int (*cmd_function)(struct sip_msg *, void *, void *, void *, void *, void *, void *, void *,
	void *);

struct cmd_param {
	int flags;
	int (*fixup)(void **param);
	int (*free_fixup)(void **param);
};

typedef struct {
	const char *name;
	cmd_function function;
	struct cmd_param params[MAX_CMD_PARAMS + 1];
	int flags;
} cmd_export_t;

typedef struct {
	const char *name;
	int (*pre_fork_function)(void);
	int (*post_fork_function)(void);
	void (*function)(int rank);
	unsigned int no;
	unsigned int flags;
} proc_export_t;

enum module_type { MOD_TYPE_DEFAULT };

#define MODULE_VERSION "testhost"
#define DEFAULT_DLFLAGS 0

struct module_exports {
	const char *name;
	enum module_type type;
	const char *version;
	unsigned int dlflags;
	const cmd_export_t *cmds;
	const param_export_t *params;
	const stat_export_t *stats;
	const mi_export_t *mi_cmds;
	const proc_export_t *procs;
	int (*init_f)(void);
	void (*destroy_f)(void);
};

#endif
