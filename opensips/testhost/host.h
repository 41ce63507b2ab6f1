/*
 * A host for the module: loads it, and has the processes that OpenSIPS would have.
 */
#ifndef TESTHOST_HOST_H
#define TESTHOST_HOST_H

#include "core.h"

/* Sets a parameter of the module, before it is initialised; fails where OpenSIPS would not start. */
int host_modparam(const char *name, const char *value);

/* Adds a route, or changes it. */
void host_route(const char *name, void (*run)(struct sip_msg *msg));

/* Calls a function of the module as a script does that has texts as arguments, which are fixed up
 * once, as many as the function has; NULL: none is given, and the name of an AVP where it wants one
 * (behind '#' that of another variable, behind '[' an AVP with an index, behind '{' one that is changed).
 * -1000: OpenSIPS would not start with that. */
int host_call(const char *function, const char *const *arguments);

/* As host_call, but what is given is in variables. */
int host_call_by_variables(const char *function, const char *const *arguments);

#define HOST_NO_START (-1000)

/* From now on, this process is one of this type; before, it serves SIP by UDP. */
void host_become(enum process_type type);

/* From now on, this process is told of the event that the module raises, and so is who has a socket,
 * unless that is NULL. */
void host_subscribe(void (*tell)(const evi_params_t *params), evi_reply_sock *sock);

/* Asks a management command, with a parameter unless name is NULL; its answer as JSON. */
const char *host_manage(const char *command, const char *name, const char *value);

/* The value of a statistic. */
unsigned long host_statistic(const char *name);

/* The transport that the module has registered. */
const evi_export_t *host_transport(void);

/* Runs what was dispatched, in this process, until it is enough or 30 s are over; whether it was. */
int host_serve_until(int (*is_enough)(void));

/* A process that runs a function and ends; how it ended. */
int host_in_process(void (*run)(void));

/* So many of them (16 at most) at once; 0 if all ended well. */
int host_in_processes(int count, void (*run)(void));

/* Adds a value to an AVP, before those that it has: a text, or if that is NULL a number; or a null. */
void host_add_avp(const char *name, const char *text, int number);
void host_add_null(const char *name);

/* The text of a variable in the list of now, or "(none)". */
const char *host_avp(const char *name);

/* How many pieces of shared memory are in use. */
long host_shm_pieces(void);

/* From now on, this process gets so many pieces, and is refused the next one; whether it was. */
void host_refuse_piece(int number);
int host_has_refused(void);

/* From now on, so many jobs are refused; how many of them still will be. */
void host_refuse_jobs(int count);
int host_refused_jobs_left(void);

/* How many messages this process has made up and not released; the next so many are refused. */
int host_dummies(void);
void host_refuse_dummies(int count);

/* Has the module's process do nothing before it is told to end: as if that came as soon as it was
 * forked. */
void host_have_module_process_late(void);

/* The process of the module; and another one in its place. */
int host_module_process(void);
void host_start_module_process(void);

/* Kills it, and waits until it has ended; whether it has. */
int host_kill_module_process(void);

/* A SIP message, with a Call-ID. */
struct sip_msg *host_message(void);

/* As if a script without routes had been loaded anew. */
void host_no_routes(void);

#endif
