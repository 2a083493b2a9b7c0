// SPDX-License-Identifier: GPL-2.0
/*
 * How things are printed: tables, JSON, and what the terminal can show.
 */
#include "scullctl.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- tables --- */

void table_begin(struct table *table, size_t left, const char *const *heads)
{
	size_t i;

	memset(table, 0, sizeof(*table));
	table->left = left;
	while (heads[table->columns])
		table->columns++;
	table_line(table);
	for (i = 0; i < table->columns; i++)
		table_cell(table, i, "%s", heads[i]);
}

void table_line(struct table *table)
{
	size_t i, size = (table->lines + 1) * sizeof(*table->cell);

	table->cell = realloc(table->cell, size);
	if (!table->cell)
		fail("out of memory");
	for (i = 0; i < table->columns; i++)
		strcpy(table->cell[table->lines][i], "-");
	table->lines++;
}

void table_cell(struct table *table, size_t column, const char *format, ...)
{
	char *cell = table->cell[table->lines - 1][column];
	va_list args;

	va_start(args, format);
	vsnprintf(cell, CELL_SIZE, format, args);
	va_end(args);
}

static int width(const struct table *table, size_t column)
{
	size_t line, len, most = 0;

	for (line = 0; line < table->lines; line++) {
		len = strlen(table->cell[line][column]);
		most = len > most ? len : most;
	}
	return most;
}

static void print_line(const struct table *table, size_t line,
		       const int *widths, size_t columns)
{
	size_t i;

	for (i = 0; i < columns; i++)
		printf("%s%*s", i ? "  " : "",
		       i < table->left ? -widths[i] : widths[i],
		       table->cell[line][i]);
	putchar('\n');
}

void table_print(const struct table *table, const struct terminal *fit)
{
	size_t i, columns, lines = table->lines, all = 0;
	int widths[MAX_COLUMNS];

	for (i = 0; i < table->columns; i++)
		widths[i] = width(table, i);
	for (columns = 0; columns < table->columns; columns++) {
		all += widths[columns] + (columns ? 2 : 0);
		if (fit && fit->there && all > fit->columns)
			break;
	}
	if (fit && fit->there && lines > fit->lines - 2)
		lines = fit->lines - 2;
	for (i = 0; i < lines; i++)
		print_line(table, i, widths, columns);
}

void table_end(struct table *table)
{
	free(table->cell);
	memset(table, 0, sizeof(*table));
}

/* --- JSON --- */

/* Is something open that already has a member? */
static bool json_goes_on;

static void json_quote(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void json_member(const char *key)
{
	if (json_goes_on)
		printf(", ");
	json_goes_on = true;
	if (key) {
		json_quote(key);
		printf(": ");
	}
}

void json_open(const char *key, char bracket)
{
	json_member(key);
	putchar(bracket);
	json_goes_on = false;
}

void json_close(char bracket)
{
	putchar(bracket);
	json_goes_on = true;
}

void json_number(const char *key, unsigned long long number)
{
	json_member(key);
	printf("%llu", number);
}

void json_rate(const char *key, double number)
{
	json_member(key);
	printf("%.1f", number);
}

void json_text(const char *key, const char *text)
{
	json_member(key);
	json_quote(text);
}

void json_null(const char *key)
{
	json_member(key);
	printf("null");
}

void json_fields(const struct device *device)
{
	int i;

	json_text("name", device->name);
	json_text("type", device->type);
	json_number("major", device->major);
	json_number("minor", device->minor);
	for (i = 0; i < NR_FIELDS; i++) {
		if (!device->has[i])
			continue;
		if (i == OWNER && device->field[i] == NOBODY)
			json_null(field_names[i]);
		else
			json_number(field_names[i], device->field[i]);
	}
}

/* --- the terminal --- */

static unsigned int from_environment(const char *name, unsigned int without)
{
	const char *text = getenv(name);
	int number = text ? atoi(text) : 0;

	return number > 0 ? (unsigned int)number : without;
}

struct terminal terminal_get(void)
{
	const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");
	struct terminal terminal = {
		.there = isatty(STDOUT_FILENO),
		.columns = from_environment("COLUMNS", 80),
		.lines = from_environment("LINES", 24),
	};
	struct winsize size;

	if (!terminal.there)
		return terminal;
	terminal.colour = !(none && *none) && kind && strcmp(kind, "dumb");
	terminal.blocks = !strcmp(nl_langinfo(CODESET), "UTF-8");
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) {
		terminal.columns = size.ws_col;
		terminal.lines = size.ws_row > 3 ? size.ws_row : 3;
	}
	return terminal;
}
