/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rules by which calls of a device fail: their text, and what they say of a call.
 * They know nothing of devices, and take no locks.
 */
#ifndef _SCULL_RULES_H
#define _SCULL_RULES_H

#include <linux/limits.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/uidgid.h>

/* Rules of a device, and bytes of the text of one with the 0 at its end */
#define SCULL_RULES_MAX		16
#define SCULL_RULE_LEN		96

/* What can be asked of a device; the first two move bytes. */
enum scull_op {
	SCULL_OP_READ,
	SCULL_OP_WRITE,
	SCULL_OP_OPEN,
	SCULL_OP_IOCTL,
	SCULL_OP_POLL,
	SCULL_OP_FSYNC,
	SCULL_OP_SEEK,
};

/* What a rule does to a call. */
enum scull_what {
	SCULL_WHAT_NOTHING,
	SCULL_WHAT_ERROR,
	SCULL_WHAT_SHORT,
	SCULL_WHAT_DELAY,
	SCULL_WHAT_HANG,
	SCULL_WHAT_EAGAIN,
	SCULL_WHAT_SIGNAL,
	SCULL_WHAT_CORRUPT,
};

/**
 * scull_op_moves - does an operation move bytes?
 * @op:	the operation
 *
 * Return: is it a read or a write?
 */
static inline bool scull_op_moves(enum scull_op op)
{
	return op == SCULL_OP_READ || op == SCULL_OP_WRITE;
}

/**
 * struct scull_rule - calls that fail, and how
 * @op:		the operation it is for
 * @said:	words that it has, a bit each, by their place in their table
 * @uid:	only files that this user opened, if he is valid
 * @comm:	only processes of this name, unless it is empty
 * @from:	only calls from this offset on
 * @nth:	fires at this match only, unless it is 0
 * @every:	fires at each match that this divides, unless it is 0
 * @p:		fires with this probability, in parts of 10^9
 * @seed:	of @random
 * @next:	fires this often and no more; 0: without an end
 * @what:	what it does when it fires
 * @arg:	the number that @what takes: an error, below 0; bytes; milliseconds;
 *		calls; a signal
 * @text:	its words
 * @matched:	calls that it was for
 * @fired:	at how many of them it fired
 * @again:	how many more matches it fires at because it has fired (-EAGAIN)
 * @random:	numbers for @p, and for the bit of SCULL_WHAT_CORRUPT
 */
struct scull_rule {
	enum scull_op op;
	u32 said;
	kuid_t uid;
	char comm[TASK_COMM_LEN];
	u64 from;
	u64 nth;
	u64 every;
	u32 p;
	u64 seed;
	u64 next;
	enum scull_what what;
	long arg;
	char text[SCULL_RULE_LEN];
	u64 matched;
	u64 fired;
	u64 again;
	struct rnd_state random;
};

/**
 * struct scull_rules - the rules of a device, in the order in which they are asked
 * @count:	how many there are
 * @rule:	the rules
 */
struct scull_rules {
	unsigned int count;
	struct scull_rule rule[SCULL_RULES_MAX];
};

/**
 * struct scull_call - a call, as rules see it
 * @op:		the operation
 * @uid:	who opened the file
 * @comm:	the name of the process
 * @pos:	offset at which it begins (SCULL_OP_READ, SCULL_OP_WRITE)
 * @count:	bytes it wants to move, likewise
 * @nowait:	it must not sleep
 */
struct scull_call {
	enum scull_op op;
	kuid_t uid;
	char comm[TASK_COMM_LEN];
	u64 pos;
	size_t count;
	bool nowait;
};

/**
 * struct scull_fault - what rules do to a call
 * @delay:	milliseconds that it is late
 * @hang:	it waits to be released
 * @error:	it fails with this, below 0; or 0
 * @signal:	it is interrupted by this; or 0
 * @count:	bytes it may move
 * @corrupt:	is a bit to be flipped?
 * @bit:	which, modulo the bits that were moved
 */
struct scull_fault {
	unsigned int delay;
	bool hang;
	int error;
	int signal;
	size_t count;
	bool corrupt;
	u32 bit;
};

int scull_rules_parse(struct scull_rules *rules, char *text, bool seekable,
		      char **error);
int scull_rules_show(const struct scull_rules *rules, char *buf);
void scull_rules_judge(struct scull_rules *rules, const struct scull_call *call,
		       struct scull_fault *fault);

#endif /* _SCULL_RULES_H */
