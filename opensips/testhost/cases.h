/*
 * What the host can go through.
 */
#ifndef TESTHOST_CASES_H
#define TESTHOST_CASES_H

struct host_case {
	const char *name;
	/* Gives the module its parameters, and the script its routes. */
	void (*configure)(void);
	/* What a process for SIP messages does then; it ends without 0 if something is wrong. */
	void (*run)(void);
	/* 0: the module has to refuse this configuration. */
	int starts;
};

/* What the module does, and what it does in trouble. The last one of a list has no name. */
extern const struct host_case host_cases[], host_troubles[];

extern const char *host_bootstrap;

#endif
