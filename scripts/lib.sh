# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every script here shares: where things are, how they speak, and how a
# thing is made once by however many callers ask for it. To be sourced.

set -euo pipefail
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # for those who source this
build=${PRAM_BUILD:-$top/build}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pram
me=$(basename "$0")

# Messages go to stderr: the stdout of scripts is for what the caller asked for.
say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Seconds as m:ss, for people who wait.
minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# once LOCKNAME: from here to the end of the caller's (sub)shell no other caller
# of the same LOCKNAME runs. Whoever has to wait is told so.
once() {
	local lock=$cache/lock/$1 fd
	mkdir -p "$cache/lock"
	exec {fd}>"$lock"
	if ! flock -n "$fd"; then
		say "another run is working on $1, waiting for it"
		flock "$fd"
	fi
}

# hash_files FILE...: one hash over names and contents, in the order given.
# Names are relative to the checkout, so that it can be moved.
hash_files() {
	(cd "$top" && sha256sum -- "${@#"$top"/}") | sha256sum | cut -d' ' -f1
}

# progress TOTAL WHAT: reads the output of make and shows how far it is, and how long it
# will still take: one line that is rewritten on a terminal, a new line every 15 s elsewhere.
# TOTAL is the number of objects that will be compiled, or a guess at it, 0 if nobody knows;
# how many there were is printed on stdout at the end.
progress() {
	local total=$1 what=$2 line n=0 start=$SECONDS next=$((SECONDS + 5)) show took
	while IFS= read -r line; do
		case $line in
		*" CC "* | *" AS "*) n=$((n + 1)) ;;
		esac
		[ "$SECONDS" -ge "$next" ] || continue
		took=$((SECONDS - start))
		if [ "$total" -gt "$n" ] && [ "$n" -gt 0 ]; then
			show="$what: object $n of about $total, $(minutes $((took * (total - n) / n))) min to go"
		else
			show="$what: object $n, $(minutes $took) min so far"
		fi
		if [ -t 2 ]; then
			printf '\r\033[K%s: %s ' "$me" "$show" >&2
			next=$((SECONDS + 1))
		else
			say "$show"
			next=$((SECONDS + 15))
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
	echo "$n"
}

# is_clone: the tree is a repository of git, not what a tarball of scripts/dist had.
is_clone() { [ "$(git -C "$top" rev-parse --show-toplevel 2>/dev/null)" = "$top" ]; }

# commit_tested: what is checked out, and whether anything was changed in it; a page that a
# run has written is no change.
commit_tested() {
	local changed
	is_clone || { echo – && return; }
	changed=$(git -C "$top" status --porcelain --untracked-files=no -- . ':!docs/test-runs.md' ':!docs/faults.md')
	echo "$(git -C "$top" rev-parse --short=12 HEAD)${changed:+, changed}"
}

# The mirror that serves Debian itself: not the security archive, whose label
# differs, and nobody else's packages. Without lists there are no labels.
debian_mirror() {
	# shellcheck disable=SC2016 # apt's variables, not ours
	apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SITE)' \
		'Created-By: Packages' 2>/dev/null |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" { print $4; exit }'
}

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_sources SUITE: lines for apt with where this machine has Debian from, for mmdebstrap. A suite that it does
# not use itself comes from the same mirror.
debian_sources() {
	local site
	apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" 'Created-By: Packages' 'Origin: Debian' |
		grep -E " $1(-updates|-security)? " | sort -u && return
	site=$(debian_mirror)
	[ -n "$site" ] || die "apt knows no source of Debian: its lists are missing (apt-get update), or this is another Debian"
	echo "deb [signed-by=$debian_keyring] $site $1 main"
}

# What scripts/check has set, it and all that it calls go by:
#   PRAM_DEADLINE  the time, in seconds since 1970, behind which nothing new is started
#   PRAM_END       that at which all has to be over
#   PRAM_TIMES     a file for how long each thing took
#   PRAM_SLOTS     a directory with a file for each guest that may run at a time

# out_of_time: nothing new is to be started.
out_of_time() { [ "$EPOCHSECONDS" -ge "${PRAM_DEADLINE:-$((EPOCHSECONDS + 1))}" ]; }

# time_left SECONDS: so many, or fewer if all has to be over before.
time_left() {
	local left=$1
	[ -z "${PRAM_END:-}" ] || [ "$left" -le $((PRAM_END - EPOCHSECONDS)) ] || left=$((PRAM_END - EPOCHSECONDS))
	[ "$left" -gt 0 ] || left=1
	echo "$left"
}

# took SECONDS WHAT: WHAT took so long.
took() { [ -z "${PRAM_TIMES:-}" ] || printf '%d %s\n' "$1" "$2" >>"$PRAM_TIMES"; }

# guests_at_a_time: how many. Guests that wait for each other's processors take several times
# as long, so it is one for each, if there is memory for them: some have 4 GiB, though few
# use them. PRAM_VM_JOBS says otherwise.
guests_at_a_time() {
	local jobs memory
	jobs=${PRAM_VM_JOBS:-$(nproc)}
	memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576 / 4) }' /proc/meminfo)
	[ -n "${PRAM_VM_JOBS:-}" ] || [ "$jobs" -le "$memory" ] || jobs=$memory
	[ "$jobs" -gt 0 ] || jobs=1
	echo "$jobs"
}

# guest_slot: to the end of the caller's (sub)shell one of the guests that may run at a
# time is his. What he starts closes guest_slot_fd, or what it left would have the slot.
# Who has the lock of the directory is the next; without that a tier whose tests wait all
# the time would keep out the others, whose guests then ran alone at the end.
guest_slot() {
	local slot next
	if [ -z "${PRAM_SLOTS:-}" ]; then
		exec {guest_slot_fd}</dev/null
		return
	fi
	exec {next}<"$PRAM_SLOTS"
	flock "$next"
	while :; do
		for slot in "$PRAM_SLOTS"/*; do
			exec {guest_slot_fd}>"$slot"
			if flock -n "$guest_slot_fd"; then
				exec {next}<&-
				return 0
			fi
			exec {guest_slot_fd}>&-
		done
		sleep 0.3
	done
}

# kernel_args V: what kernel-build wants to be told for the kernel that test/vm/run calls V.
kernel_args() {
	local v=$1
	case $v in
	*-without-*)
		printf -- '--without %s ' "${v#*-without-}"
		v=${v%%-without-*}
		;;
	esac
	case $v in
	*-*) echo "${v%%-*} ${v#*-}" ;;
	*) echo "$v debug" ;;
	esac
}
