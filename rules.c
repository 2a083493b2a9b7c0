// SPDX-License-Identifier: GPL-2.0
/*
 * Rules by which calls fail. A rule is a line of words: the operation it is for,
 * which of its calls, and what becomes of those:
 *
 *	read from=4096 every=3 EIO
 *	write comm=dd p=0.1 seed=7 short=1
 *
 * What a rule does depends on its words and on the calls it was asked about, and on
 * nothing else: the same rules and the same calls give the same faults. Where a
 * rule draws lots, it has a generator of its own.
 */
#include <linux/bits.h>
#include <linux/ctype.h>
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/time64.h>

#include "rules.h"

/* A probability of 1, and a second */
#define SCULL_RULE_ONE		1000000000u

/* So late that everybody has noticed */
#define SCULL_RULE_DELAY_MAX	(3600ull * NSEC_PER_SEC)

static const char * const scull_op_names[] = {
	[SCULL_OP_READ]		= "read",
	[SCULL_OP_WRITE]	= "write",
	[SCULL_OP_OPEN]		= "open",
	[SCULL_OP_IOCTL]	= "ioctl",
	[SCULL_OP_POLL]		= "poll",
	[SCULL_OP_FSYNC]	= "fsync",
	[SCULL_OP_SEEK]		= "seek",
};

struct scull_name {
	const char *name;
	int number;
};

#define SCULL_ERRNO(name) { #name, name }

static const struct scull_name scull_errnos[] = {
	SCULL_ERRNO(EPERM),	SCULL_ERRNO(ENOENT),
	SCULL_ERRNO(EINTR),	SCULL_ERRNO(EIO),
	SCULL_ERRNO(ENXIO),	SCULL_ERRNO(E2BIG),
	SCULL_ERRNO(EBADF),	SCULL_ERRNO(EAGAIN),
	SCULL_ERRNO(ENOMEM),	SCULL_ERRNO(EACCES),
	SCULL_ERRNO(EFAULT),	SCULL_ERRNO(EBUSY),
	SCULL_ERRNO(EEXIST),	SCULL_ERRNO(ENODEV),
	SCULL_ERRNO(EINVAL),	SCULL_ERRNO(ENFILE),
	SCULL_ERRNO(EMFILE),	SCULL_ERRNO(ENOTTY),
	SCULL_ERRNO(EFBIG),	SCULL_ERRNO(ENOSPC),
	SCULL_ERRNO(ESPIPE),	SCULL_ERRNO(EROFS),
	SCULL_ERRNO(EPIPE),	SCULL_ERRNO(EDOM),
	SCULL_ERRNO(ERANGE),	SCULL_ERRNO(ENODATA),
	SCULL_ERRNO(ETIME),	SCULL_ERRNO(ECOMM),
	SCULL_ERRNO(EPROTO),	SCULL_ERRNO(EBADMSG),
	SCULL_ERRNO(EOVERFLOW),	SCULL_ERRNO(EILSEQ),
	SCULL_ERRNO(EMSGSIZE),	SCULL_ERRNO(EOPNOTSUPP),
	SCULL_ERRNO(ENETDOWN),	SCULL_ERRNO(ECONNRESET),
	SCULL_ERRNO(ENOBUFS),	SCULL_ERRNO(ETIMEDOUT),
	SCULL_ERRNO(EHOSTDOWN),	SCULL_ERRNO(EALREADY),
	SCULL_ERRNO(EINPROGRESS), SCULL_ERRNO(ESTALE),
	SCULL_ERRNO(EREMOTEIO),	SCULL_ERRNO(EDQUOT),
	SCULL_ERRNO(ENOMEDIUM),	SCULL_ERRNO(ECANCELED),
};

static const struct scull_name scull_signals[] = {
	{ "HUP", SIGHUP },	{ "INT", SIGINT },	{ "QUIT", SIGQUIT },
	{ "USR1", SIGUSR1 },	{ "USR2", SIGUSR2 },	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },	{ "TERM", SIGTERM },	{ "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },	{ "STOP", SIGSTOP },	{ "TSTP", SIGTSTP },
	{ "WINCH", SIGWINCH },	{ "URG", SIGURG },	{ "IO", SIGIO },
};

/* The number of a name, 0 if there is none. */
static int scull_number_of(const struct scull_name *names, size_t count,
			   const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i].name, name))
			return names[i].number;
	return 0;
}

/*
 * A number with up to nine decimals, in parts of 10^9; @text is moved past it.
 * False if there is none, or too large a one.
 */
static bool scull_take_decimal(char **text, u64 *value)
{
	u64 whole = 0, part = 0;
	u32 unit = SCULL_RULE_ONE;
	char *at = *text;

	if (!isdigit(*at))
		return false;
	for (; isdigit(*at); at++) {
		whole = whole * 10 + *at - '0';
		if (whole > SCULL_RULE_ONE)
			return false;
	}
	if (*at == '.') {
		for (at++; isdigit(*at); at++) {
			unit /= 10;
			if (!unit)
				return false;
			part += (u64)unit * (*at - '0');
		}
	}
	*value = whole * SCULL_RULE_ONE + part;
	*text = at;
	return true;
}

/*
 * The words of a rule. Each takes what stands behind its "=", or NULL if there is
 * none, and says whether that can be.
 */
static bool scull_take_uid(struct scull_rule *rule, char *value)
{
	unsigned int uid;

	if (!value || kstrtouint(value, 10, &uid))
		return false;
	rule->uid = make_kuid(current_user_ns(), uid);
	return uid_valid(rule->uid);
}

static bool scull_take_comm(struct scull_rule *rule, char *value)
{
	return value && *value &&
	       strscpy(rule->comm, value, sizeof(rule->comm)) > 0;
}

static bool scull_take_from(struct scull_rule *rule, char *value)
{
	return value && !kstrtou64(value, 10, &rule->from);
}

static bool scull_take_nth(struct scull_rule *rule, char *value)
{
	return value && !kstrtou64(value, 10, &rule->nth) && rule->nth;
}

static bool scull_take_every(struct scull_rule *rule, char *value)
{
	return value && !kstrtou64(value, 10, &rule->every) && rule->every;
}

static bool scull_take_p(struct scull_rule *rule, char *value)
{
	u64 p;

	if (!value || !scull_take_decimal(&value, &p) || *value ||
	    p > SCULL_RULE_ONE)
		return false;
	rule->p = p;
	return true;
}

static bool scull_take_seed(struct scull_rule *rule, char *value)
{
	return value && !kstrtou64(value, 10, &rule->seed);
}

static bool scull_take_next(struct scull_rule *rule, char *value)
{
	return value && !kstrtou64(value, 10, &rule->next) && rule->next;
}

static bool scull_take_short(struct scull_rule *rule, char *value)
{
	rule->what = SCULL_WHAT_SHORT;
	return value && !kstrtol(value, 10, &rule->arg) && rule->arg > 0;
}

static bool scull_take_delay(struct scull_rule *rule, char *value)
{
	u64 time;

	rule->what = SCULL_WHAT_DELAY;
	if (!value || !scull_take_decimal(&value, &time))
		return false;
	if (!strcmp(value, "ms"))
		time = div_u64(time, MSEC_PER_SEC);
	else if (strcmp(value, "s"))
		return false;
	if (time > SCULL_RULE_DELAY_MAX)
		return false;
	rule->arg = DIV_ROUND_UP_ULL(time, NSEC_PER_MSEC);
	return true;
}

static bool scull_take_hang(struct scull_rule *rule, char *value)
{
	rule->what = SCULL_WHAT_HANG;
	return !value;
}

static bool scull_take_eagain(struct scull_rule *rule, char *value)
{
	rule->what = SCULL_WHAT_EAGAIN;
	return value && !kstrtol(value, 10, &rule->arg) && rule->arg > 0;
}

static bool scull_take_signal(struct scull_rule *rule, char *value)
{
	rule->what = SCULL_WHAT_SIGNAL;
	rule->arg = SIGALRM;
	if (!value)
		return true;
	if (str_has_prefix(value, "SIG"))
		value += 3;
	rule->arg = scull_number_of(scull_signals, ARRAY_SIZE(scull_signals),
				    value);
	return rule->arg;
}

static bool scull_take_corrupt(struct scull_rule *rule, char *value)
{
	rule->what = SCULL_WHAT_CORRUPT;
	return !value;
}

/**
 * struct scull_word - a word that rules are made of
 * @name:	the word, without the "=" and what comes behind it
 * @take:	takes that
 * @wants:	what it wants, for who gave it something else
 * @ops:	the operations it is for, a bit each
 */
struct scull_word {
	const char *name;
	bool (*take)(struct scull_rule *rule, char *value);
	const char *wants;
	unsigned int ops;
};

#define SCULL_OPS_ALL	(~0u)
#define SCULL_OPS_READ	BIT(SCULL_OP_READ)
#define SCULL_OPS_MOVE	(BIT(SCULL_OP_READ) | BIT(SCULL_OP_WRITE))

static const struct scull_word scull_words[] = {
	{ "uid", scull_take_uid, "a user's number is wanted", SCULL_OPS_ALL },
	{ "comm", scull_take_comm,
	  "the name of a process is wanted, at most 15 characters",
	  SCULL_OPS_ALL },
	{ "from", scull_take_from, "an offset in bytes is wanted",
	  SCULL_OPS_MOVE },
	{ "nth", scull_take_nth, "a number from 1 is wanted", SCULL_OPS_ALL },
	{ "every", scull_take_every, "a number from 1 is wanted",
	  SCULL_OPS_ALL },
	{ "p", scull_take_p,
	  "a number from 0 to 1 is wanted, with at most nine decimals",
	  SCULL_OPS_ALL },
	{ "seed", scull_take_seed, "a number from 0 is wanted", SCULL_OPS_ALL },
	{ "next", scull_take_next, "a number from 1 is wanted", SCULL_OPS_ALL },
	{ "short", scull_take_short, "a number of bytes from 1 is wanted",
	  SCULL_OPS_MOVE },
	{ "delay", scull_take_delay,
	  "a time such as 500ms or 0.5s is wanted, at most 3600s",
	  SCULL_OPS_ALL },
	{ "hang", scull_take_hang, "it takes no value", SCULL_OPS_ALL },
	{ "eagain", scull_take_eagain, "a number of calls from 1 is wanted",
	  SCULL_OPS_ALL },
	{ "signal", scull_take_signal,
	  "a signal is wanted, of HUP INT QUIT USR1 USR2 PIPE ALRM TERM CHLD CONT STOP TSTP WINCH URG IO",
	  SCULL_OPS_ALL },
	{ "corrupt", scull_take_corrupt, "it takes no value", SCULL_OPS_READ },
};

#define SCULL_NO_WHAT \
	"behind this it has to say what happens: an errno, short= delay= hang eagain= signal or corrupt"
#define SCULL_NO_WORD \
	"no such word or errno; there are uid= comm= from= nth= every= p= seed= next=, then short= delay= hang eagain= signal corrupt and errnos such as EIO"

static const struct scull_word *scull_word_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scull_words); i++)
		if (!strcmp(scull_words[i].name, name))
			return &scull_words[i];
	return NULL;
}

/* Takes a word that says when or what; returns what is wrong with it, or NULL. */
static const char *scull_rule_take(struct scull_rule *rule, char *word)
{
	enum scull_what before = rule->what;
	const struct scull_word *known;
	const char *name;
	u32 bit;

	name = strsep(&word, "=");
	known = scull_word_of(name);
	if (known) {
		bit = BIT(known - scull_words);
		if (rule->said & bit)
			return "said twice";
		rule->said |= bit;
		if (!(known->ops & BIT(rule->op)))
			return known->ops == SCULL_OPS_READ ?
				"only a read can have it" :
				"only a read or a write can have it";
		if (!known->take(rule, word))
			return known->wants;
	} else {
		rule->what = SCULL_WHAT_ERROR;
		rule->arg = -scull_number_of(scull_errnos,
					     ARRAY_SIZE(scull_errnos), name);
		if (!rule->arg || word)
			return SCULL_NO_WORD;
	}
	if (before != SCULL_WHAT_NOTHING && (!known || rule->what != before))
		return "a rule does one thing only";
	if (rule->nth && rule->every)
		return "nth= and every= exclude each other";
	return NULL;
}

/* The operation of a name, or what is wrong with it. */
static const char *scull_rule_take_op(struct scull_rule *rule, const char *word,
				      bool seekable)
{
	int op = match_string(scull_op_names, ARRAY_SIZE(scull_op_names), word);

	if (op < 0)
		return "no such operation; there are open read write ioctl poll fsync seek";
	if (op == SCULL_OP_SEEK && !seekable)
		return "a pipe has no position to seek";
	rule->op = op;
	return NULL;
}

/*
 * Makes a rule of @line. Returns what is wrong, or NULL; the word that is to blame
 * is the last of @rule's text.
 */
static const char *scull_rule_parse(struct scull_rule *rule, char *line,
				    bool seekable, const char **blamed)
{
	const char *wrong;
	size_t len = 0;
	char *word;

	memset(rule, 0, sizeof(*rule));
	rule->uid = INVALID_UID;
	rule->p = SCULL_RULE_ONE;
	rule->seed = 1;
	while ((word = strsep(&line, " \t\r"))) {
		if (!*word)
			continue;
		*blamed = word;
		if (len + !!len + strlen(word) >= sizeof(rule->text))
			return "here the rule gets longer than 95 characters";
		len += sprintf(rule->text + len, "%s%s", len ? " " : "", word);
		*blamed = rule->text + len - strlen(word);
		if (*blamed == rule->text)
			wrong = scull_rule_take_op(rule, word, seekable);
		else
			wrong = scull_rule_take(rule, word);
		if (wrong)
			return wrong;
	}
	if (rule->what == SCULL_WHAT_NOTHING)
		return SCULL_NO_WHAT;
	prandom_seed_state(&rule->random, rule->seed);
	return NULL;
}

/**
 * scull_rules_parse - add rules
 * @rules:	where they are added; half of them may have been if there is an error
 * @text:	the rules, a line each; is changed
 * @seekable:	does the device they are for have a position?
 * @error:	where a message that says what is wrong is stored, to be freed by the
 *		caller, or NULL if there is no memory for one
 *
 * May sleep.
 *
 * Return: 0, or -EINVAL with *@error.
 */
int scull_rules_parse(struct scull_rules *rules, char *text, bool seekable,
		      char **error)
{
	const char *wrong, *blamed;
	unsigned int number = 0;
	char *line, *rest;

	while ((line = strsep(&text, "\n"))) {
		number++;
		rest = line;
		line = strim(strsep(&rest, "#"));
		if (!*line)
			continue;
		blamed = line;
		wrong = "one more than the 16 rules that a device may have";
		if (rules->count < SCULL_RULES_MAX)
			wrong = scull_rule_parse(&rules->rule[rules->count],
						 line, seekable, &blamed);
		if (wrong) {
			*error = kasprintf(GFP_KERNEL, "line %u: \"%s\": %s",
					   number, blamed, wrong);
			return -EINVAL;
		}
		rules->count++;
	}
	return 0;
}

/**
 * scull_rules_show - print rules, and how often each matched and fired
 * @rules:	the rules, which nobody changes meanwhile
 * @buf:	a page, as sysfs gives it
 *
 * Return: characters printed.
 */
int scull_rules_show(const struct scull_rules *rules, char *buf)
{
	const struct scull_rule *rule;
	unsigned int i;
	int len = 0;

	for (i = 0; i < rules->count; i++) {
		rule = &rules->rule[i];
		len += sysfs_emit_at(buf, len, "%s  # matched %llu fired %llu\n",
				     rule->text, rule->matched, rule->fired);
	}
	return len;
}

/* Is it for such calls, wherever they begin? */
static bool scull_rule_concerns(const struct scull_rule *rule,
				const struct scull_call *call)
{
	return rule->op == call->op &&
	       (!uid_valid(rule->uid) || uid_eq(rule->uid, call->uid)) &&
	       (!rule->comm[0] || !strcmp(rule->comm, call->comm));
}

/* Will it never fire again? */
static bool scull_rule_is_over(const struct scull_rule *rule)
{
	return !rule->again && ((rule->nth && rule->matched >= rule->nth) ||
				(rule->next && rule->fired >= rule->next));
}

/* Does it fire at this match? */
static bool scull_rule_fires(struct scull_rule *rule)
{
	u64 remainder = 0;

	if (rule->again) {
		rule->again--;
		return true;
	}
	if (rule->nth && rule->matched != rule->nth)
		return false;
	if (rule->every)
		div64_u64_rem(rule->matched, rule->every, &remainder);
	if (remainder || (rule->next && rule->fired >= rule->next))
		return false;
	if (rule->p < SCULL_RULE_ONE &&
	    (u64)prandom_u32_state(&rule->random) * SCULL_RULE_ONE >> 32 >=
	    rule->p)
		return false;
	if (rule->what == SCULL_WHAT_EAGAIN)
		rule->again = rule->arg - 1;
	return true;
}

static void scull_rule_apply(struct scull_rule *rule, struct scull_fault *fault)
{
	switch (rule->what) {
	case SCULL_WHAT_NOTHING:
		break;
	case SCULL_WHAT_ERROR:
		fault->error = rule->arg;
		break;
	case SCULL_WHAT_SHORT:
		fault->count = min_t(size_t, fault->count, rule->arg);
		break;
	case SCULL_WHAT_DELAY:
		fault->delay += rule->arg;
		break;
	case SCULL_WHAT_HANG:
		fault->hang = true;
		break;
	case SCULL_WHAT_EAGAIN:
		fault->error = -EAGAIN;
		break;
	case SCULL_WHAT_SIGNAL:
		fault->signal = rule->arg;
		break;
	case SCULL_WHAT_CORRUPT:
		fault->corrupt = true;
		fault->bit = prandom_u32_state(&rule->random);
		break;
	}
}

/* Could one of the rules make the call wait? That would count it. */
static bool scull_rules_may_wait(const struct scull_rules *rules,
				 const struct scull_call *call)
{
	const struct scull_rule *rule;
	unsigned int i;

	for (i = 0; i < rules->count; i++) {
		rule = &rules->rule[i];
		if ((rule->what == SCULL_WHAT_DELAY ||
		     rule->what == SCULL_WHAT_HANG) &&
		    scull_rule_concerns(rule, call) &&
		    !scull_rule_is_over(rule))
			return true;
	}
	return false;
}

/**
 * scull_rules_judge - ask rules what happens to a call, and count it
 * @rules:	the rules; the caller keeps others from them
 * @call:	the call
 * @fault:	where it is stored
 *
 * A call that must not wait, where one of the rules might make it wait, is told
 * to come again (-EAGAIN) and not counted: io_uring does come again.
 */
void scull_rules_judge(struct scull_rules *rules, const struct scull_call *call,
		       struct scull_fault *fault)
{
	struct scull_rule *rule;
	unsigned int i;

	*fault = (struct scull_fault){ .count = call->count };
	if (call->nowait && scull_rules_may_wait(rules, call)) {
		fault->error = -EAGAIN;
		return;
	}
	for (i = 0; i < rules->count; i++) {
		rule = &rules->rule[i];
		if (!scull_rule_concerns(rule, call))
			continue;
		if (scull_op_moves(call->op) && call->pos < rule->from) {
			if (!scull_rule_is_over(rule))
				fault->count = min_t(u64, fault->count,
						     rule->from - call->pos);
			continue;
		}
		rule->matched++;
		if (!scull_rule_fires(rule))
			continue;
		rule->fired++;
		scull_rule_apply(rule, fault);
		if (fault->error || fault->signal)
			return;
	}
}
