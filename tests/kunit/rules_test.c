// SPDX-License-Identifier: GPL-2.0
/*
 * Rules by which calls fail: which texts are rules, and at which of many calls they
 * do what.
 */
#include <kunit/test.h>

/* Under other names, so that it goes into one kernel with the driver. */
#define scull_rules_parse rules_test_parse
#define scull_rules_show rules_test_show
#define scull_rules_judge rules_test_judge

#include "../../rules.c"

static struct scull_rules *rules_test_rules(struct kunit *test)
{
	struct scull_rules *rules = test->priv;

	memset(rules, 0, sizeof(*rules));
	return rules;
}

static int rules_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct scull_rules), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, test->priv);
	return 0;
}

/* Rules that are right; the text is changed in a copy. */
static struct scull_rules *rules_test_make(struct kunit *test, const char *text)
{
	struct scull_rules *rules = rules_test_rules(test);
	size_t len = strlen(text) + 1;
	char *copy = kunit_kzalloc(test, len, GFP_KERNEL);
	char *error = NULL;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, text, len);
	KUNIT_ASSERT_EQ_MSG(test, scull_rules_parse(rules, copy, true, &error),
			    0, "%s", error ?: "");
	return rules;
}

static struct scull_fault rules_test_ask(struct scull_rules *rules,
					 enum scull_op op, u64 pos, size_t count)
{
	struct scull_call call = {
		.op = op, .pos = pos, .count = count, .comm = "dd",
		.uid = GLOBAL_ROOT_UID,
	};
	struct scull_fault fault;

	scull_rules_judge(rules, &call, &fault);
	return fault;
}

/* What so many reads give, a letter each: F a fault, . none. */
static void rules_test_expect(struct kunit *test, struct scull_rules *rules,
			      const char *pattern)
{
	const char *at;
	struct scull_fault fault;

	for (at = pattern; *at; at++) {
		fault = rules_test_ask(rules, SCULL_OP_READ, 0, 10);
		KUNIT_EXPECT_EQ_MSG(test, fault.error != 0, *at == 'F',
				    "read %zu of %s", at - pattern + 1, pattern);
	}
}

static void rules_test_when(struct kunit *test)
{
	rules_test_expect(test, rules_test_make(test, "read EIO"), "FFFF");
	rules_test_expect(test, rules_test_make(test, "write EIO"), "....");
	rules_test_expect(test, rules_test_make(test, "read nth=3 EIO"),
			  "..F.....");
	rules_test_expect(test, rules_test_make(test, "read every=3 EIO"),
			  "..F..F..F");
	rules_test_expect(test, rules_test_make(test, "read next=2 EIO"),
			  "FF......");
	rules_test_expect(test, rules_test_make(test, "read EIO every=2 next=2"),
			  ".F.F....");
	rules_test_expect(test, rules_test_make(test, "read nth=2 eagain=3"),
			  ".FFF....");
	rules_test_expect(test, rules_test_make(test, "read every=4 eagain=2"),
			  "...FF..FF..F");
	rules_test_expect(test, rules_test_make(test, "read next=1 eagain=2"),
			  "FF......");
	rules_test_expect(test, rules_test_make(test, "read p=0 EIO"), "....");
	rules_test_expect(test, rules_test_make(test, "read p=1 EIO"), "FFFF");
	rules_test_expect(test, rules_test_make(test, "read uid=0 EIO"), "FF");
	rules_test_expect(test, rules_test_make(test, "read uid=7 EIO"), "..");
	rules_test_expect(test, rules_test_make(test, "read comm=dd EIO"), "FF");
	rules_test_expect(test, rules_test_make(test, "read comm=d EIO"), "..");
	rules_test_expect(test, rules_test_make(test, "read comm=ddd EIO"),
			  "..");
}

/* A call that begins before the offset ends there; the next one fails. */
static void rules_test_from(struct kunit *test)
{
	struct scull_rules *rules = rules_test_make(test,
						    "read from=100 next=1 EIO");
	struct scull_fault fault;

	fault = rules_test_ask(rules, SCULL_OP_READ, 0, 100);
	KUNIT_EXPECT_EQ(test, fault.error, 0);
	KUNIT_EXPECT_EQ(test, fault.count, 100);
	fault = rules_test_ask(rules, SCULL_OP_READ, 99, 50);
	KUNIT_EXPECT_EQ(test, fault.error, 0);
	KUNIT_EXPECT_EQ(test, fault.count, 1);
	KUNIT_EXPECT_EQ(test, rules->rule[0].matched, 0);
	fault = rules_test_ask(rules, SCULL_OP_READ, 100, 1);
	KUNIT_EXPECT_EQ(test, fault.error, -EIO);
	/* It is over, so it cuts nothing either. */
	fault = rules_test_ask(rules, SCULL_OP_READ, 99, 50);
	KUNIT_EXPECT_EQ(test, fault.count, 50);
}

static void rules_test_lots(struct kunit *test)
{
	struct scull_rules *rules;
	unsigned int i, fired;
	u64 first = 0, again = 0;

	rules = rules_test_make(test, "read p=0.25 seed=5 EIO");
	for (i = 0; i < 64; i++)
		first = first << 1 |
			!!rules_test_ask(rules, SCULL_OP_READ, 0, 1).error;
	for (fired = 0; i < 4064; i++)
		fired += !!rules_test_ask(rules, SCULL_OP_READ, 0, 1).error;
	/* Of a fair generator six times the deviation (27) is too much. */
	KUNIT_EXPECT_GT(test, fired, 1000 - 164);
	KUNIT_EXPECT_LT(test, fired, 1000 + 164);
	rules = rules_test_make(test, "read seed=5 EIO p=0.250");
	for (i = 0; i < 64; i++)
		again = again << 1 |
			!!rules_test_ask(rules, SCULL_OP_READ, 0, 1).error;
	KUNIT_EXPECT_EQ(test, first, again);
	rules = rules_test_make(test, "read p=0.25 seed=6 EIO");
	for (i = 0; i < 64; i++)
		again = again << 1 |
			!!rules_test_ask(rules, SCULL_OP_READ, 0, 1).error;
	KUNIT_EXPECT_NE(test, first, again);
}

/* The first that ends a call ends the search; the others come together. */
static void rules_test_several(struct kunit *test)
{
	struct scull_rules *rules;
	struct scull_fault fault;

	rules = rules_test_make(test,
				"read short=7\n\n # none\nread delay=20ms # late\n"
				"read short=3\nread corrupt\nread nth=2 EIO\nread hang");
	KUNIT_ASSERT_EQ(test, rules->count, 6);
	fault = rules_test_ask(rules, SCULL_OP_READ, 0, 10);
	KUNIT_EXPECT_EQ(test, fault.count, 3);
	KUNIT_EXPECT_EQ(test, fault.delay, 20);
	KUNIT_EXPECT_TRUE(test, fault.corrupt);
	KUNIT_EXPECT_TRUE(test, fault.hang);
	fault = rules_test_ask(rules, SCULL_OP_READ, 0, 10);
	KUNIT_EXPECT_EQ(test, fault.error, -EIO);
	KUNIT_EXPECT_FALSE(test, fault.hang);
	KUNIT_EXPECT_EQ(test, rules->rule[5].matched, 1);
}

/* Who must not wait is told to come again, and has not been there. */
static void rules_test_nowait(struct kunit *test)
{
	struct scull_rules *rules = rules_test_make(test,
						    "read EINTR p=0\nread nth=1 hang");
	struct scull_call call = { .op = SCULL_OP_READ, .nowait = true };
	struct scull_fault fault;

	scull_rules_judge(rules, &call, &fault);
	KUNIT_EXPECT_EQ(test, fault.error, -EAGAIN);
	KUNIT_EXPECT_FALSE(test, fault.hang);
	KUNIT_EXPECT_EQ(test, rules->rule[0].matched, 0);
	call.nowait = false;
	scull_rules_judge(rules, &call, &fault);
	KUNIT_EXPECT_TRUE(test, fault.hang);
	call.nowait = true;
	scull_rules_judge(rules, &call, &fault);
	KUNIT_EXPECT_EQ(test, fault.error, 0);
	KUNIT_EXPECT_EQ(test, rules->rule[0].matched, 2);
}

/* What is no rule, and the word that is to blame. */
static void rules_test_refused(struct kunit *test)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{ "reed EIO", "line 1: \"reed\"" },
		{ "read EIO\nwrite", "line 2: \"write\"" },
		{ "read nth=2", "line 1: \"nth=2\"" },
		{ "read EFOO", "line 1: \"EFOO\"" },
		{ "read EIO=5", "line 1: \"EIO=5\"" },
		{ "read EIO ENXIO", "line 1: \"ENXIO\"" },
		{ "read EIO hang", "line 1: \"hang\"" },
		{ "read hang=1", "line 1: \"hang=1\"" },
		{ "read nth=0 EIO", "line 1: \"nth=0\"" },
		{ "read nth=-1 EIO", "line 1: \"nth=-1\"" },
		{ "read nth EIO", "line 1: \"nth\"" },
		{ "read nth=1 nth=2 EIO", "line 1: \"nth=2\"" },
		{ "read nth=1 every=2 EIO", "line 1: \"every=2\"" },
		{ "read every=99999999999999999999 EIO", "line 1: \"every=" },
		{ "read p=1.1 EIO", "line 1: \"p=1.1\"" },
		{ "read p=0.1234567891 EIO", "line 1: \"p=0.1234567891\"" },
		{ "read p=.5 EIO", "line 1: \"p=.5\"" },
		{ "read p=0.5x EIO", "line 1: \"p=0.5x\"" },
		{ "read short=0", "line 1: \"short=0\"" },
		{ "open short=1", "line 1: \"short=1\"" },
		{ "write corrupt", "line 1: \"corrupt\"" },
		{ "open from=1 EIO", "line 1: \"from=1\"" },
		{ "read delay=5", "line 1: \"delay=5\"" },
		{ "read delay=3601s", "line 1: \"delay=3601s\"" },
		{ "read signal=KILL", "line 1: \"signal=KILL\"" },
		{ "read eagain", "line 1: \"eagain\"" },
		{ "read comm= EIO", "line 1: \"comm=\"" },
		{ "read comm=0123456789abcdef EIO", "line 1: \"comm=" },
		{ "read uid=x EIO", "line 1: \"uid=x\"" },
		{ "mmap EIO", "line 1: \"mmap\"" },
	};
	struct scull_rules *rules;
	char text[128], *error;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		rules = rules_test_rules(test);
		strscpy(text, cases[i].text, sizeof(text));
		error = NULL;
		KUNIT_EXPECT_EQ_MSG(test,
				    scull_rules_parse(rules, text, true, &error),
				    -EINVAL, "%s", cases[i].text);
		KUNIT_ASSERT_NOT_NULL(test, error);
		KUNIT_EXPECT_TRUE_MSG(test,
				      strstarts(error, cases[i].message),
				      "%s: %s", cases[i].text, error);
		kfree(error);
	}
	rules = rules_test_rules(test);
	strscpy(text, "seek EIO", sizeof(text));
	KUNIT_EXPECT_EQ(test, scull_rules_parse(rules, text, false, &error),
			-EINVAL);
	kfree(error);
}

/* Nearly as long as a rule can be, as it is said and as it is shown. */
static const char * const rules_test_long[] = {
	"read nth=18446744073709551615 uid=4294967294 comm=0123456789abcde p=0.123456789 seed=12345 \t EIO ",
	"read nth=18446744073709551615 uid=4294967294 comm=0123456789abcde p=0.123456789 seed=12345 EIO  # matched 18446744073709551615 fired 18446744073709551615\n",
};

/* As many as there may be fit, and a page holds what is said of them. */
static void rules_test_many(struct kunit *test)
{
	struct scull_rules *rules = rules_test_rules(test);
	/* sysfs gives pages, and its printing asks for no less. */
	char *buf = (char *)get_zeroed_page(GFP_KERNEL);
	char text[128], *error = NULL;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < SCULL_RULES_MAX; i++) {
		strscpy(text, rules_test_long[0], sizeof(text));
		KUNIT_ASSERT_EQ_MSG(test,
				    scull_rules_parse(rules, text, true, &error),
				    0, "%s", error ?: "");
		rules->rule[i].matched = U64_MAX;
		rules->rule[i].fired = U64_MAX;
	}
	KUNIT_EXPECT_LT(test, scull_rules_show(rules, buf), PAGE_SIZE - 1);
	KUNIT_EXPECT_TRUE(test, strstarts(buf, rules_test_long[1]));
	strscpy(text, "read EIO", sizeof(text));
	KUNIT_EXPECT_EQ(test, scull_rules_parse(rules, text, true, &error),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, rules->count, SCULL_RULES_MAX);
	kfree(error);

	/* Two characters more than a rule may have. */
	rules = rules_test_rules(test);
	snprintf(text, sizeof(text), "%sp", rules_test_long[0]);
	KUNIT_EXPECT_EQ(test, scull_rules_parse(rules, text, true, &error),
			-EINVAL);
	KUNIT_EXPECT_TRUE(test, strstarts(error, "line 1: \"p\""));
	kfree(error);
	free_page((unsigned long)buf);
}

static struct kunit_case rules_test_cases[] = {
	KUNIT_CASE(rules_test_when),
	KUNIT_CASE(rules_test_from),
	KUNIT_CASE(rules_test_lots),
	KUNIT_CASE(rules_test_several),
	KUNIT_CASE(rules_test_nowait),
	KUNIT_CASE(rules_test_refused),
	KUNIT_CASE(rules_test_many),
	{ }
};

static struct kunit_suite rules_test_suite = {
	.name		= "scull_rules",
	.init		= rules_test_init,
	.test_cases	= rules_test_cases,
};

kunit_test_suite(rules_test_suite);
