#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: memory=1G
#
# A kernel that loads signed modules only. It cannot be made to load others again,
# so this file has a machine of its own, and leaves the driver unloaded there.
# shellcheck disable=SC2154 # bats sets output

load common

enforce=/sys/module/module/parameters/sig_enforce

setup() {
	needs_module
	needs_unload
	[ -n "${SCULL_VM:-}" ] || skip "the machine would load signed modules only until its next boot"
	[ -e "$enforce" ] || skip "this kernel knows no signatures of modules"
	tmp=$BATS_TEST_TMPDIR
	unloaded
	echo 1 >"$enforce"
}

# signed FILE: FILE, signed with a key made on the spot, as README.md says
signed() {
	local sign
	needs openssl
	sign=/lib/modules/$(uname -r)/build/scripts/sign-file
	[ -x "$sign" ] || skip "this kernel's headers have no sign-file"
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=scull test/" \
		-keyout "$tmp/key" -outform DER -out "$tmp/cert" 2>/dev/null
	"$sign" sha256 "$tmp/key" "$tmp/cert" "$1"
}

@test "a module without a signature is refused, and scull_load says what to do" {
	run -1 ./scull_load
	output_has "the kernel wants modules signed with a key that it knows, and refuses"
	output_has "sign it with a key that is enrolled"
	output_has "Key was rejected by service"
	run ! is_loaded
}

@test "a module signed with a key that the kernel does not know is refused too" {
	cp "$ko" "$tmp/scull.ko"
	signed "$tmp/scull.ko"
	same "scull test" "$(modinfo -F signer "$tmp/scull.ko")"
	SCULL_MODULE=$tmp/scull.ko run -1 ./scull_load
	output_has "the kernel wants modules signed with a key that it knows, and refuses"
	output_has "module with unavailable key is rejected"
	run ! is_loaded
}
