// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl: what scull's devices hold and who uses them, and the values that may
 * be changed. Here is the command line; each command has a file of its own.
 */
#include "scullctl.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

struct options options = { .root = "", .interval = 1 };

/* What getopt_long() returns for options without a letter. */
enum {
	ROOT = 256, JSON, SVG, IOCTL, INTERVAL, COUNT, RULE_FILE, HELP,
	PRINT_VERSION
};

static const struct option known[] = {
	{ "root", required_argument, NULL, ROOT },
	{ "json", no_argument, NULL, JSON },
	{ "svg", no_argument, NULL, SVG },
	{ "ioctl", optional_argument, NULL, IOCTL },
	{ "interval", required_argument, NULL, INTERVAL },
	{ "count", required_argument, NULL, COUNT },
	{ "file", required_argument, NULL, RULE_FILE },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, PRINT_VERSION },
	{ NULL }
};

/**
 * struct command - what comes first on the command line
 * @name: it
 * @run: does it
 * @arguments: what may follow, for people
 * @least: how many arguments, at least
 * @most: and at most
 * @takes: the options that are about it
 * @what: it does, in a line for people
 * @more: about it
 */
struct command {
	const char *name;
	void (*run)(char **argv);
	const char *arguments;
	int least;
	int most;
	const char *takes;
	const char *what;
	const char *more;
};

#define MANY 1024

static const struct command commands[] = {
	{ "list", list_command, "[--json]", 0, 0, "json",
	  "a table of all devices",
	  "SIZE is how many bytes a device holds, QUANTA how many quanta are allocated for\n"
	  "them, CAPACITY how many bytes fit into a pipe. OPENS is how many files are\n"
	  "open; of a pipe, RD and WR are how many of them may read and write. Whose an\n"
	  "access-controlled device is now stands under OWNER, and how many opens wait for\n"
	  "it under WAITERS." },
	{ "show", show_command, "[--json] DEVICE", 1, 1, "json",
	  "all about one device, and what its counters have counted",
	  "No command but trim opens the device that it is about." },
	{ "get", get_command, "[--json] [--ioctl[=DEVICE]] [NAME]", 0, 1,
	  "json ioctl",
	  "the value NAME, which holds for all devices, or all of them",
	  "NAME is quantum, qset or p_buffer. The value comes from sysfs; with --ioctl, or\n"
	  "where sysfs has none, from a device: DEVICE, else scull0, else scullpipe0." },
	{ "set", set_command, "[--ioctl[=DEVICE]] NAME VALUE", 2, 2, "ioctl",
	  "a new value",
	  "Each device uses it from when it is next emptied, each pipe from its next first\n"
	  "open. NAME and the way are as for get. It takes CAP_SYS_ADMIN. Ranges: quantum 1\n"
	  "to what kmalloc() gives (4194304 with pages of 4 KiB), qset 1 to 65536, p_buffer\n"
	  "1 to 16777216." },
	{ "reset", reset_command, "[--ioctl[=DEVICE]]", 0, 0, "ioctl",
	  "every value back to what was compiled in",
	  "By ioctl. It takes CAP_SYS_ADMIN." },
	{ "map", map_command, "[--json | --svg] DEVICE", 1, 1, "json svg",
	  "a drawing of which quanta of a device are allocated",
	  "It is scaled to the terminal; --svg prints a picture. It comes from debugfs, which\n"
	  "only root may read." },
	{ "watch", watch_command,
	  "[--json] [--interval=SECONDS] [--count=N] [DEVICE...]", 0, MANY,
	  "json interval count",
	  "what these devices, or all, do a second, over and over",
	  "So says how their counters have changed. On a terminal it is drawn anew each\n"
	  "second; elsewhere each look follows the one before. SECONDS is from 0.1 to 86400;\n"
	  "after N looks it ends. READ_B and WRITE_B are bytes. SHORT are calls that moved\n"
	  "less than they were asked to." },
	{ "trim", trim_command, "DEVICE", 1, 1, "",
	  "empty a device",
	  "By opening it to write. Pipes are not emptied so." },
	{ "fault", fault_command,
	  "[--json] [--file=FILE] DEVICE ACTION [ARGUMENT...] | scenarios", 1, MANY,
	  "json file",
	  "let calls of a device fail, be late or hang",
	  "It takes CAP_SYS_ADMIN. An ACTION is\n"
	  "  add RULE...     rules after those that are there; also without the quotes, if it\n"
	  "                  is just one; with --file=FILE those of a file, - for standard input\n"
	  "  list            the rules, and how many calls each matched and fired at\n"
	  "  limit BYTES     the device takes no more than so many; \"none\": as many as ever\n"
	  "  hold            every call that begins waits\n"
	  "  release         no more, and those that hang or are delayed go on\n"
	  "  scenario NAME   what a scenario says, in place of what was there; NAME is one of\n"
	  "                  those that \"scullctl fault scenarios\" lists, or a file\n"
	  "  clear           the device is as it was: no rules, no limit, not held\n"
	  "\n"
	  "A RULE is OPERATION [WHEN]... WHAT:\n"
	  "  open read write ioctl poll fsync seek\n"
	  "  nth=N every=N next=N p=0.25 seed=N from=OFFSET uid=N comm=NAME\n"
	  "  an errno by name; short=BYTES delay=TIME hang eagain=N signal[=NAME] corrupt\n"
	  "\n"
	  "  scullctl fault scull0 add 'write from=10000 ENOSPC' 'read short=1'\n"
	  "  scullctl fault scull0 add read nth=3 EIO\n"
	  "\n"
	  "scull(4) explains them." },
	{ "unplug", unplug_command, "DEVICE", 1, 1, "",
	  "make a device vanish, as if it were pulled out",
	  "Its node goes; calls that wait fail with ENODEV, and so does whatever follows on\n"
	  "files that are open, but for read: EIO. It takes CAP_SYS_ADMIN." },
	{ "plug", plug_command, "DEVICE", 1, 1, "",
	  "bring it back, empty",
	  "/sys/class/scull/unplug lists those that are unplugged. It takes CAP_SYS_ADMIN." },
};

static void complain(const char *format, va_list args)
{
	fflush(stdout);
	fprintf(stderr, "scullctl: ");
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	exit(FAILED);
}

void misuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	fprintf(stderr, "scullctl: scullctl --help tells how it is used\n");
	exit(MISUSED);
}

static void help(void)
{
	const struct command *c;

	printf("Usage: scullctl COMMAND [OPTION...] [ARGUMENT...]\n\n"
	       "Shows what scull's devices hold and who uses them, and changes what may be\n"
	       "changed. A DEVICE is a name, as scull0, or the path of a node.\n\n");
	for (c = commands; c < commands + ARRAY_SIZE(commands); c++)
		printf("  %-6s %s\n", c->name, c->what);
	printf("\n"
	       "  --json      print JSON: list, show, get, map, watch, fault\n"
	       "  --root=DIR  take /sys, /proc and /dev from below DIR\n"
	       "  --help      this text; after a command: about that\n"
	       "  --version   the version\n\n"
	       "Exit status: 0 done, 1 it failed, 2 wrong use; standard error says why.\n");
}

static void help_command(const struct command *c)
{
	printf("Usage: scullctl %s %s\n\nscullctl %s: %s.\n\n%s\n", c->name,
	       c->arguments, c->name, c->what, c->more);
}

static const struct command *find(const char *name)
{
	const struct command *c;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++)
		if (!strcmp(c->name, name))
			return c;
	misuse("there is no command %s", name);
}

/* Is @name one of the words of @list? */
static bool has_word(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at = strstr(list, name);

	return at && (at == list || at[-1] == ' ') &&
	       (!at[len] || at[len] == ' ');
}

static double seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0.1 && value <= 86400))
		misuse("--interval=%s: seconds from 0.1 to 86400", text);
	return value;
}

static unsigned long looks(const char *text)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < 1)
		misuse("--count=%s: a number from 1 on", text);
	return value;
}

static void take(int option, const char *value)
{
	switch (option) {
	case ROOT:
		options.root = value;
		break;
	case JSON:
		options.json = true;
		break;
	case SVG:
		options.svg = true;
		break;
	case IOCTL:
		options.by_ioctl = true;
		options.device = value;
		break;
	case INTERVAL:
		options.interval = seconds(value);
		break;
	case COUNT:
		options.count = looks(value);
		break;
	case RULE_FILE:
		options.file = value;
		break;
	}
}

/* Which options there were, as words; help and version are done here. */
static void take_options(int argc, char **argv, bool *helped,
			 const char *given[ARRAY_SIZE(known)])
{
	int option, which, nr = 0;

	while ((option = getopt_long(argc, argv, "h", known, &which)) != -1) {
		if (option == '?')
			misuse("that option is not understood");
		if (option == PRINT_VERSION) {
			printf("scullctl %s\n", VERSION);
			exit(0);
		}
		if (option == HELP || option == 'h') {
			*helped = true;
			continue;
		}
		take(option, optarg);
		if (option != ROOT && nr < (int)ARRAY_SIZE(known) - 1)
			given[nr++] = known[which].name;
	}
}

static void run(const struct command *c, int argc, char **argv,
		const char *const *given)
{
	for (; *given; given++)
		if (!has_word(c->takes, *given))
			misuse("%s takes no option --%s", c->name, *given);
	if (options.json && options.svg)
		misuse("--json or --svg: one of them");
	if (argc - 1 < c->least || argc - 1 > c->most)
		misuse("usage: scullctl %s %s", c->name, c->arguments);
	c->run(argv);
}

int main(int argc, char **argv)
{
	const char *given[ARRAY_SIZE(known)] = { NULL };
	bool helped = false;

	setlocale(LC_CTYPE, "");
	take_options(argc, argv, &helped, given);
	argc -= optind;
	argv += optind;
	if (helped && !argc)
		help();
	else if (!argc)
		misuse("which command?");
	else if (helped)
		help_command(find(argv[0]));
	else
		run(find(argv[0]), argc, argv, given);
	if (fflush(stdout) || ferror(stdout))
		fail("cannot write standard output: %s", strerror(errno));
	return 0;
}
