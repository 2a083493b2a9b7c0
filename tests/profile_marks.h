/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a program in the guest tells the plugin what it is about to do: with a long
 * nop, which the processor ignores, whose displacement says "mark number N". A
 * number begins what is written down under it, 0 ends it.
 */
#ifndef TESTS_PROFILE_MARKS_H
#define TESTS_PROFILE_MARKS_H

/* nopl 0xNNc5b1a3(%rax), all but the number */
#define PROFILE_BYTES { 0x0f, 0x1f, 0x80, 0xa3, 0xb1, 0xc5 }

#define PROFILE_MARK(n)							\
	asm volatile(".byte 0x0f, 0x1f, 0x80, 0xa3, 0xb1, 0xc5, %c0"	\
		     : : "i" (n) : "memory")

#endif
