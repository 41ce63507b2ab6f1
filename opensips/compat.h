/*
 * What the branches of OpenSIPS differ in, as far as this module sees it. KAFKA_OPENSIPS is the
 * branch, 302 for 3.2: the Makefile takes it from the tree that the module is built in.
 */
#ifndef KAFKA_COMPAT_H
#define KAFKA_COMPAT_H

#if KAFKA_OPENSIPS < 302
#error "OpenSIPS 3.2 or newer is needed"
#endif

/* Some headers of the core need these first and do not say so. */
#include <limits.h>
#include "../../sr_module.h"
#include "../../dprint.h"
#if KAFKA_OPENSIPS >= 304
#include "../../status_report.h"
#else
#include "../../daemonize.h"
#endif

/* The tables that a module exports are constant from 3.4 on. */
#if KAFKA_OPENSIPS >= 304
#define EXPORTED const
#else
#define EXPORTED
#endif

/* Whether OpenSIPS is shutting down. Outside of that its processes ignore SIGTERM. */
static inline int core_is_ending(void)
{
#if KAFKA_OPENSIPS >= 304
	return sr_get_core_status() == STATE_TERMINATING;
#else
	return get_osips_state() == STATE_TERMINATING;
#endif
}

/* Keeps what this process logs from being raised as E_CORE_LOG, which may come here again. */
static inline void keep_log_out_of_events(void)
{
#if KAFKA_OPENSIPS >= 304 /* there is no such event before */
	suppress_proc_log_event();
#endif
}

#endif
