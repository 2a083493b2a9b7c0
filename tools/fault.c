// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl fault: what is to go wrong with a device, by the attributes in its
 * directory faults. What the driver refuses it gives a reason for, which is shown
 * here with what would have been right.
 */
#include "scullctl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULTS "/sys/class/scull/%s/faults"

static const char *const errnos[] = {
	"EPERM", "ENOENT", "EINTR", "EIO", "ENXIO", "E2BIG", "EBADF",
	"EAGAIN", "ENOMEM", "EACCES", "EFAULT", "EBUSY", "EEXIST", "ENODEV",
	"EINVAL", "ENFILE", "EMFILE", "ENOTTY", "EFBIG", "ENOSPC", "ESPIPE",
	"EROFS", "EPIPE", "EDOM", "ERANGE", "ENODATA", "ETIME", "ECOMM",
	"EPROTO", "EBADMSG", "EOVERFLOW", "EILSEQ", "EMSGSIZE", "EOPNOTSUPP",
	"ENETDOWN", "ECONNRESET", "ENOBUFS", "ETIMEDOUT", "EHOSTDOWN",
	"EALREADY", "EINPROGRESS", "ESTALE", "EREMOTEIO", "EDQUOT",
	"ENOMEDIUM", "ECANCELED",
};

/* --- the attributes --- */

static void need_faults(const char *device)
{
	const char *path = rooted(FAULTS, device);

	if (access(path, F_OK))
		fail("there is no %s: the scull that is loaded is older than this command",
		     path);
}

/* Ends the program for an attribute that cannot be read or written, by errno. */
static void __attribute__((noreturn)) refused(const char *device,
					      const char *attribute)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		fail("fault needs CAP_SYS_ADMIN: run it as root");
	case ENOENT:
	case ENODEV:
		fail("%s was unplugged meanwhile: scullctl plug %s brings it back",
		     device, device);
	default:
		fail("%s: %s: %s", device, attribute, strerror(errno));
	}
}

static FILE *attribute_open(const char *device, const char *attribute)
{
	FILE *file = fopen(rooted(FAULTS "/%s", device, attribute), "re");

	if (!file)
		refused(device, attribute);
	return file;
}

/* The first line of an attribute, "" if it has none. */
static void get(const char *device, const char *attribute, char *line,
		size_t size)
{
	FILE *file = attribute_open(device, attribute);

	if (!fgets(line, size, file))
		*line = '\0';
	if (ferror(file))
		refused(device, attribute);
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

/* All of it has to go in one call; false with errno. */
static bool put(const char *device, const char *attribute, const char *text)
{
	int fd = open(rooted(FAULTS "/%s", device, attribute),
		      O_WRONLY | O_CLOEXEC);
	int error;
	bool done;

	if (fd < 0)
		refused(device, attribute);
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	error = errno;
	close(fd);
	errno = error;
	return done;
}

static void must_put(const char *device, const char *attribute,
		     const char *text)
{
	if (!put(device, attribute, text))
		refused(device, attribute);
}

static void put_limit(const char *device, const char *limit)
{
	if (!put(device, "limit", limit)) {
		if (errno == EINVAL)
			fail("%s: the driver takes no limit of %s bytes",
			     device, limit);
		refused(device, "limit");
	}
}

/* --- why a rule is refused --- */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * How many letters are too much, missing, wrong or, beside each other, the wrong way
 * round. Both are short.
 */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[3][32], *before = row[0], *last = row[1];
	unsigned int *now = row[2], *spare, i, j;

	for (j = 0; j <= strlen(b); j++)
		last[j] = j;
	for (i = 1; i <= strlen(a); i++) {
		now[0] = i;
		for (j = 1; j <= strlen(b); j++) {
			now[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
				       least(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[strlen(b)];
}

/* The name that somebody may have meant by a word of capitals, or NULL. */
static const char *nearest(const char *word)
{
	unsigned int far, best = strlen(word) / 3;
	const char *name = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		far = distance(word, errnos[i]);
		if (far < best || (far == best && !name)) {
			best = far;
			name = errnos[i];
		}
	}
	return name;
}

/* All of them, in lines no wider than 78; @text has room. */
static void list_errnos(char *text)
{
	size_t i, column = 78;

	text += sprintf(text, "\nerrnos:");
	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		if (column + 1 + strlen(errnos[i]) > 78) {
			text += sprintf(text, "\n ");
			column = 1;
		}
		text += sprintf(text, " %s", errnos[i]);
		column += 1 + strlen(errnos[i]);
	}
}

static void capitals(char *to, const char *word, size_t size)
{
	size_t i;

	for (i = 0; word[i] && i < size - 1; i++)
		to[i] = toupper((unsigned char)word[i]);
	to[i] = '\0';
}

/*
 * What would have been right, where a word is refused that looks like an errno. The
 * driver names the word, in quotes, and why.
 */
static const char *hint(const char *reason)
{
	char word[32], upper[32];
	static char text[1024];
	const char *name;

	*text = '\0';
	if (!strstr(reason, "no such word") ||
	    sscanf(reason, "\"%31[^\"=]\"", word) != 1)
		return text;
	capitals(upper, word, sizeof(upper));
	if (*upper != 'E')
		return text;
	name = nearest(upper);
	list_errnos(text + (name ? sprintf(text, "; did you mean %s?", name) :
			    0));
	return text;
}

/* The driver counts the lines that it was given, each of which is a rule. */
static void __attribute__((noreturn))
rules_refused(const char *device, const struct scenario *scenario)
{
	const struct said *said;
	char line[256];
	size_t number;
	int reason = 0;

	get(device, "error", line, sizeof(line));
	if (sscanf(line, "line %zu: %n", &number, &reason) != 1 || !reason ||
	    number < 1 || number > scenario->nr)
		fail("%s: %s", device, *line ? line : strerror(EINVAL));
	said = &scenario->said[number - 1];
	fail("%s%s: '%s': %s%s", said->where, device, said->rule,
	     line + reason, hint(line + reason));
}

/* --- giving it a scenario --- */

/* What is longer than a page would come to the driver in pieces. */
static void put_rules(const char *device, const struct scenario *scenario,
		      bool add)
{
	size_t i, len = 0, size = sysconf(_SC_PAGESIZE);
	char *text = malloc(size);

	if (!text)
		fail("out of memory");
	len += snprintf(text, size, "%s", add ? "+" : "");
	for (i = 0; i < scenario->nr && len < size; i++)
		len += snprintf(text + len, size - len, "%s\n",
				scenario->said[i].rule);
	if (len >= size)
		fail("%s: that are more rules than a device can have", device);
	/* Nothing at all would not come to the driver. */
	if (!scenario->nr)
		snprintf(text, size, "\n");
	if (!put(device, "rules", text)) {
		if (errno == EINVAL)
			rules_refused(device, scenario);
		refused(device, "rules");
	}
	free(text);
}

/* What does not begin with a rule that is refused has not begun. */
static void add(const char *device, const struct scenario *scenario)
{
	if (scenario->nr)
		put_rules(device, scenario, true);
	if (scenario->limit)
		put_limit(device, scenario->limit);
	if (scenario->hold)
		must_put(device, "hold", "1");
}

/* Whoever is held goes on when all else is as it is to be. */
static void replace(const char *device, const struct scenario *scenario)
{
	put_rules(device, scenario, false);
	put_limit(device, scenario->limit ? scenario->limit : "none");
	must_put(device, "hold", scenario->hold ? "1" : "0");
}

/* --- what it has --- */

/**
 * struct active - a rule that a device has
 * @text: its words
 * @matched: calls that it was for
 * @fired: at how many of them it fired
 */
struct active {
	char text[CELL_SIZE];
	unsigned long long matched;
	unsigned long long fired;
};

#define MOST_RULES 64

static size_t rules_read(const char *device, struct active *all)
{
	FILE *file = attribute_open(device, "rules");
	char line[256], *counts;
	struct active *rule;
	size_t nr = 0;

	while (nr < MOST_RULES && fgets(line, sizeof(line), file)) {
		rule = &all[nr++];
		counts = strstr(line, "  # ");
		if (!counts || sscanf(counts, "  # matched %llu fired %llu",
				      &rule->matched, &rule->fired) != 2)
			fail("%s: a rule that this scullctl does not know: %s",
			     device, line);
		*counts = '\0';
		snprintf(rule->text, sizeof(rule->text), "%.*s",
			 CELL_SIZE - 1, line);
	}
	if (ferror(file))
		refused(device, "rules");
	fclose(file);
	return nr;
}

static void list_text(const char *device, const struct active *rules,
		      size_t nr, const char *limit, bool held)
{
	static const char *const heads[] = {
		"NR", "RULE", "MATCHED", "FIRED", NULL
	};
	struct table table;
	size_t i;

	if (strcmp(limit, "none"))
		printf("%s: limit %s bytes, %s\n", device, limit,
		       held ? "held" : "not held");
	else
		printf("%s: no limit, %s\n", device,
		       held ? "held" : "not held");
	if (!nr)
		return;
	table_begin(&table, 2, heads);
	for (i = 0; i < nr; i++) {
		table_line(&table);
		table_cell(&table, 0, "%zu", i + 1);
		table_cell(&table, 1, "%s", rules[i].text);
		table_cell(&table, 2, "%llu", rules[i].matched);
		table_cell(&table, 3, "%llu", rules[i].fired);
	}
	table_print(&table, NULL);
	table_end(&table);
}

static void list_json(const char *device, const struct active *rules,
		      size_t nr, const char *limit, bool held)
{
	size_t i;

	json_open(NULL, '{');
	json_text("name", device);
	if (strcmp(limit, "none"))
		json_number("limit", strtoull(limit, NULL, 10));
	else
		json_null("limit");
	json_number("hold", held);
	json_open("rules", '[');
	for (i = 0; i < nr; i++) {
		json_open(NULL, '{');
		json_text("rule", rules[i].text);
		json_number("matched", rules[i].matched);
		json_number("fired", rules[i].fired);
		json_close('}');
	}
	json_close(']');
	json_close('}');
	putchar('\n');
}

/* --- unplug, as a scenario has it --- */

static bool begins_with(const struct active *now, size_t nr_now,
			const struct active *then, size_t nr)
{
	size_t i;

	if (nr_now < nr)
		return false;
	for (i = 0; i < nr; i++)
		if (strcmp(now[i].text, then[i].text))
			return false;
	return true;
}

static bool one_fired(const struct active *rules, size_t nr)
{
	while (nr--)
		if (rules[nr].fired)
			return true;
	return false;
}

/* The rules keep the call that they fire at waiting, so there is time to look. */
static void unplug_when_fired(const char *device)
{
	static const struct timespec pause = { .tv_nsec = 20000000 };
	struct active rules[MOST_RULES], now[MOST_RULES];
	size_t nr = rules_read(device, rules), nr_now = nr;

	memcpy(now, rules, sizeof(now));
	printf("%s goes when one of these rules fires; Ctrl-C: it stays\n",
	       device);
	if (fflush(stdout))
		return;
	while (!one_fired(now, nr)) {
		nanosleep(&pause, NULL);
		nr_now = rules_read(device, now);
		if (!begins_with(now, nr_now, rules, nr))
			fail("%s was given other rules meanwhile: it is not unplugged",
			     device);
	}
	unplug(device);
}

/* --- the actions --- */

static void list_action(const char *device, char **argv)
{
	struct active rules[MOST_RULES];
	size_t nr = rules_read(device, rules);
	char limit[32], hold[8];

	get(device, "limit", limit, sizeof(limit));
	get(device, "hold", hold, sizeof(hold));
	if (options.json)
		list_json(device, rules, nr, limit, atoi(hold));
	else
		list_text(device, rules, nr, limit, atoi(hold));
}

/* A rule has a blank, so words without one are the words of a rule. */
static bool are_words(char **argv)
{
	while (*argv)
		if (strpbrk(*argv++, " \t\n#"))
			return false;
	return true;
}

static void take_words(struct scenario *scenario, char **argv)
{
	char rule[4096] = "";
	size_t len = 0;

	for (; *argv && len < sizeof(rule); argv++)
		len += snprintf(rule + len, sizeof(rule) - len, "%s%s",
				len ? " " : "", *argv);
	if (len >= sizeof(rule))
		misuse("that rule is too long");
	scenario_line(scenario, rule, "");
}

/* One may have lines, as a file has. */
static void take_rules(struct scenario *scenario, char **argv)
{
	char *line;

	for (; *argv; argv++) {
		if (!strpbrk(*argv, " \t\n#"))
			misuse("add: '%s' is no rule: each is one argument, in quotes, as 'read nth=3 EIO'",
			       *argv);
		while ((line = strsep(argv, "\n")))
			scenario_line(scenario, line, "");
	}
}

static void add_action(const char *device, char **argv)
{
	struct scenario scenario = { 0 };

	if (!options.file == !*argv)
		misuse("add: rules, or --file=FILE");
	if (options.file)
		scenario_read(&scenario, options.file);
	else if (!strcmp(*argv, "-") && !argv[1])
		scenario_read(&scenario, "-");
	else if (are_words(argv))
		take_words(&scenario, argv);
	else
		take_rules(&scenario, argv);
	if (scenario.unplug)
		misuse("add: unplug is for \"scullctl fault %s scenario\", or for scullctl unplug %s",
		       device, device);
	add(device, &scenario);
	scenario_free(&scenario);
}

static void scenario_action(const char *device, char **argv)
{
	struct scenario scenario = { 0 };

	scenario_named(&scenario, *argv);
	if (scenario.unplug && !scenario.nr)
		misuse("scenario %s: unplug waits for a rule to fire, and there is none",
		       *argv);
	replace(device, &scenario);
	if (scenario.unplug)
		unplug_when_fired(device);
	scenario_free(&scenario);
}

static void limit_action(const char *device, char **argv)
{
	limit_check(*argv, "");
	put_limit(device, *argv);
}

static void hold_action(const char *device, char **argv)
{
	must_put(device, "hold", "1");
}

static void release_action(const char *device, char **argv)
{
	must_put(device, "hold", "0");
}

static void clear_action(const char *device, char **argv)
{
	static const struct scenario nothing;

	replace(device, &nothing);
}

/**
 * struct action - what may be done with the faults of a device
 * @name: it
 * @run: does it
 * @arguments: what follows, for people
 * @most: how many of these there may be
 * @least: and at least
 */
static const struct action {
	const char *name;
	void (*run)(const char *device, char **argv);
	const char *arguments;
	int most;
	int least;
} actions[] = {
	{ "add", add_action, "RULE... | - | --file=FILE", 1024 },
	{ "list", list_action, "[--json]" },
	{ "limit", limit_action, "BYTES | none", 1, 1 },
	{ "hold", hold_action, "" },
	{ "release", release_action, "" },
	{ "scenario", scenario_action, "NAME | FILE", 1, 1 },
	{ "clear", clear_action, "" },
};

static const struct action *find(const char *name)
{
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	misuse("%s%s%sscullctl fault DEVICE add, list, limit, hold, release, scenario or clear",
	       name ? "there is no fault " : "which of these? ",
	       name ? name : "", name ? ": " : "");
}

static void check(const struct action *action, const char *device, int nr)
{
	if (options.json && strcmp(action->name, "list"))
		misuse("fault %s takes no option --json", action->name);
	if (options.file && strcmp(action->name, "add"))
		misuse("fault %s takes no option --file", action->name);
	if (nr < action->least || nr > action->most)
		misuse("usage: scullctl fault %s %s%s%s", device, action->name,
		       *action->arguments ? " " : "", action->arguments);
}

void fault_command(char **argv)
{
	const struct action *action;
	const char *device;
	int nr = 0;

	if (!strcmp(argv[1], "scenarios")) {
		if (argv[2] || options.file)
			misuse("usage: scullctl fault scenarios [--json]");
		scenarios_print();
		return;
	}
	action = find(argv[2]);
	while (argv[3 + nr])
		nr++;
	check(action, argv[1], nr);
	device = device_name(argv[1]);
	need_faults(device);
	action->run(device, argv + 3);
}
