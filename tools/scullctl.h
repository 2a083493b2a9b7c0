/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of scullctl share: the command line, what the kernel tells of
 * the devices, and ways to print it.
 */
#ifndef SCULLCTL_H
#define SCULLCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define PRINTF(at, first) __attribute__((format(printf, at, first)))

/* Exit statuses beside 0. */
enum { FAILED = 1, MISUSED = 2 };

/**
 * struct options - what the command line asks for beside a command's arguments
 * @root: directory in place of / for /sys, /proc and /dev; "" for / itself
 * @json: print JSON
 * @svg: print a picture
 * @by_ioctl: ask a device, not sysfs
 * @device: which; NULL for any
 * @interval: seconds between two looks
 * @count: how many looks; 0 for no end
 * @file: where rules are read from; NULL for the command line
 */
struct options {
	const char *root;
	bool json;
	bool svg;
	bool by_ioctl;
	const char *device;
	double interval;
	unsigned long count;
	const char *file;
};

extern struct options options;

/* Say why on standard error and end the program, with FAILED or MISUSED. */
void fail(const char *format, ...) PRINTF(1, 2) __attribute__((noreturn));
void misuse(const char *format, ...) PRINTF(1, 2) __attribute__((noreturn));

/* The commands: their arguments follow argv[0]. Each returns if it worked. */
void list_command(char **argv);
void show_command(char **argv);
void get_command(char **argv);
void set_command(char **argv);
void reset_command(char **argv);
void map_command(char **argv);
void watch_command(char **argv);
void trim_command(char **argv);
void fault_command(char **argv);
void unplug_command(char **argv);
void plug_command(char **argv);

/* --- devices.c: what the kernel tells --- */

/* Numbers in /sys/class/scull/DEVICE, and in its directory stats. */
enum field {
	OPENS, SIZE, QUANTUM, QSET, QUANTA, DEVICES, CAPACITY, USED, READERS,
	WRITERS, OWNER, WAITERS, NR_FIELDS
};

enum counter {
	READS, WRITES, READ_BYTES, WRITE_BYTES, SHORT_READS, SHORT_WRITES,
	AGAIN, SLEEPS, WAKEUPS, REFUSED, TRIMS, NR_COUNTERS
};

extern const char *const field_names[NR_FIELDS];
extern const char *const counter_names[NR_COUNTERS];

/* The value of OWNER while a device belongs to nobody. */
#define NOBODY (~0ull)

/**
 * struct device - a device as sysfs describes it
 * @name: of its node
 * @major: its number
 * @minor: its number
 * @type: bare, pipe, single, uid, wuid, priv
 * @has: which of @field this type has
 * @field: by enum field
 * @counts: which of @counter
 * @counter: by enum counter
 */
struct device {
	char name[32];
	unsigned int major;
	unsigned int minor;
	char type[16];
	bool has[NR_FIELDS];
	unsigned long long field[NR_FIELDS];
	bool counts[NR_COUNTERS];
	unsigned long long counter[NR_COUNTERS];
};

/**
 * struct devices - all of them
 * @nr: how many
 * @device: in the order of their minor numbers
 */
struct devices {
	size_t nr;
	struct device *device;
};

/* Fails, saying what to do, if scull is not loaded. */
void devices_read(struct devices *all);
void devices_free(struct devices *all);
/* The device that somebody calls by its name or the path of a node. */
struct device *device_find(const struct devices *all, const char *called);
/* Reads one, for commands that are about just one. */
struct device device_read(const char *called);
/*
 * Its name alone, for commands that have to go on when the device itself does not
 * answer. The string stays until the next call.
 */
const char *device_name(const char *called);
/* Is there a device of this name that was unplugged? Only root gets to know. */
bool unplugged(const char *name);
bool is_pipe(const struct device *device);

/* The path of a file below options.root. The string stays for a while. */
const char *rooted(const char *format, ...) PRINTF(1, 2);
/* The first line of a file, without its end; false with errno. */
bool read_line(const char *path, char *line, size_t size);
/* Ends the program if scull is not there, with what to do about it. */
void need_scull(void);

/* --- print.c: the terminal, tables and JSON --- */

/**
 * struct terminal - what standard output can show
 * @there: it is a terminal
 * @colour: it has colours, and they are wanted
 * @blocks: it has block characters
 * @columns: its width
 * @lines: its height
 */
struct terminal {
	bool there;
	bool colour;
	bool blocks;
	unsigned int columns;
	unsigned int lines;
};

struct terminal terminal_get(void);

#define MAX_COLUMNS 16
/* Bytes of a cell: a rule and the 0 at its end */
#define CELL_SIZE 96

/**
 * struct table - lines of cells, which become as wide as they have to be
 * @columns: in a line
 * @left: how many of these, from the first, are aligned to the left
 * @lines: how many there are
 * @cell: all of them
 */
struct table {
	size_t columns;
	size_t left;
	size_t lines;
	char (*cell)[MAX_COLUMNS][CELL_SIZE];
};

/* @heads: the first line's cells, up to a NULL */
void table_begin(struct table *table, size_t left, const char *const *heads);
/* The next cell; "-" for an empty text. */
void table_line(struct table *table);
void table_cell(struct table *table, size_t column, const char *format, ...)
	PRINTF(3, 4);
/* As much as fits on @fit, with a line above and one below; all if it is NULL. */
void table_print(const struct table *table, const struct terminal *fit);
void table_end(struct table *table);

/* A key is NULL in a list. All is closed by as many calls as opened it. */
void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_number(const char *key, unsigned long long number);
void json_rate(const char *key, double number);
void json_text(const char *key, const char *text);
void json_null(const char *key);
/* The fields and, if wanted, the counters of a device. */
void json_fields(const struct device *device);

/* --- store.c: what a device holds, by its map in debugfs --- */

/**
 * struct run - quanta side by side
 * @first: the number of the first
 * @count: how many
 */
struct run {
	unsigned long long first;
	unsigned long long count;
};

/**
 * struct store - what a device, or a private device of scullpriv, holds
 * @id: which of the stores of the device
 * @size: in bytes
 * @quantum: bytes in a quantum
 * @qset: quanta in a set
 * @nr: how many runs
 * @run: the allocated quanta, in order; two runs never touch
 */
struct store {
	unsigned long id;
	unsigned long long size;
	unsigned long long quantum;
	unsigned long long qset;
	size_t nr;
	struct run *run;
};

/**
 * struct stores - the stores of a device
 * @nr: how many
 * @store: in the order of their ids
 */
struct stores {
	size_t nr;
	struct store *store;
};

void stores_read(struct stores *all, const struct device *device);
void stores_free(struct stores *all);
/* How many quanta it would have without holes, and how many it has. */
unsigned long long store_places(const struct store *store);
unsigned long long store_held(const struct store *store);

/**
 * struct grid - a store, scaled to cells in lines
 * @columns: cells in a line
 * @cells: how many there are
 * @each: how many quanta a cell stands for; the last may be fewer
 * @places: how many quanta there would be without holes
 * @held: of each cell, how many are allocated
 */
struct grid {
	unsigned int columns;
	unsigned int cells;
	unsigned long long each;
	unsigned long long places;
	unsigned long long *held;
};

/* With at most so many lines of so many cells. */
void grid_make(struct grid *grid, const struct store *store,
	       unsigned int columns, unsigned int lines);
void grid_free(struct grid *grid);
/* How full a cell is, from 0, empty, over partly to @steps, completely. */
unsigned int grid_level(const struct grid *grid, unsigned int cell,
			unsigned int steps);

/* --- scenario.c: faults as people write them down --- */

/**
 * struct said - a rule
 * @rule: its words
 * @where: the file and the line that it is from; "" for the command line
 */
struct said {
	char *rule;
	char *where;
};

/**
 * struct scenario - what is to go wrong with a device
 * @nr: how many rules
 * @said: the rules
 * @limit: bytes that the device may hold, or "none"; NULL if that is not said
 * @hold: every call is to wait
 * @unplug: the device is to vanish as soon as one of the rules has fired
 */
struct scenario {
	size_t nr;
	struct said *said;
	char *limit;
	bool hold;
	bool unplug;
};

/* What one line says, be it a comment or empty. */
void scenario_line(struct scenario *scenario, const char *line,
		   const char *where);
/* The lines of a file; of standard input for "-". */
void scenario_read(struct scenario *scenario, const char *path);
/* The lines of the file that somebody calls by its path or by its name alone. */
void scenario_named(struct scenario *scenario, const char *called);
void scenario_free(struct scenario *scenario);
/* Fails if this is neither a number nor "none". */
void limit_check(const char *limit, const char *where);
void scenarios_print(void);

/* plug.c */
void unplug(const char *name);

/* svg.c */
void svg_print(const struct device *device, const struct stores *all);

#endif /* SCULLCTL_H */
