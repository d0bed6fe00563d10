// SPDX-License-Identifier: GPL-2.0-only
/* The table of verbs, and what goes by it: parsing, dispatch, help. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pramctl.h"

#define ARG(member)	offsetof(struct pramctl_args, member)

#define OPTION_JSON \
	{ "json", NULL, "print JSON", ARG(json) }
#define OPTION_ROOT \
	{ "root", "DIR", "use the files of the system in DIR", ARG(root) }

const struct pramctl_command pramctl_commands[] = {
	{
		"list", "", "list checkpoints and other nodes", 0, 0,
		{
			OPTION_JSON,
			{ "nodes", NULL, "list every node separately", ARG(nodes) },
		},
		pramctl_list,
	},
	{
		"show", "NAME", "show a checkpoint's images and nodes", 1, 1,
		{ OPTION_JSON },
		pramctl_show,
	},
	{
		"rm", "NAME...", "remove checkpoints or nodes", 0, SIZE_MAX,
		{
			OPTION_JSON,
			{ "all", NULL, "remove all nodes that are not in use", ARG(all) },
			{ "force", NULL, "with --all: file systems, too", ARG(force) },
			{ "orphans", NULL, "remove checkpoints whose directory is gone", ARG(orphans) },
			{ "id", NULL, "NAMEs are ids of single nodes", ARG(by_id) },
		},
		pramctl_rm,
	},
	{
		"check", "[KERNEL [INITRD]]", "check if this system can save tasks in PRAM", 0, 2,
		{
			OPTION_JSON,
			{ "criu", "FILE", "the criu to examine", ARG(criu) },
			{ "plugin", "FILE", "the CRIU plugin to examine", ARG(plugin) },
			{ "kexec", NULL, "check if a kexec would lose anything now", ARG(kexec) },
			{ "reboot", NULL, "check if a reboot would lose anything", ARG(reboot) },
			{ "services", NULL, "check if enabled services can survive a kexec", ARG(services) },
			{ "try", NULL, "with --services: dump each as a trial; it runs on", ARG(try_dump) },
			{ "task", "PID", "check if a task can be dumped and survive a kexec", ARG(task) },
			OPTION_ROOT,
		},
		pramctl_check,
	},
	{
		"export", "NAME DIR", "copy a checkpoint to a directory of CRIU images", 2, 2,
		{ OPTION_JSON },
		pramctl_export,
	},
	{
		"import", "DIR [NAME]", "copy a directory of CRIU images to a checkpoint", 1, 2,
		{
			OPTION_JSON,
			{ "replace", NULL, "replace a checkpoint of that name", ARG(replace) },
			{ "checksums", NULL, "keep checksums of the pages", ARG(checksums) },
		},
		pramctl_import,
	},
	{
		"stats", "", "show the kernel's counters", 0, 0,
		{ OPTION_JSON, OPTION_ROOT },
		pramctl_stats,
	},
	{
		"enable", "UNIT...", "keep services or container:NAME across a kexec", 1, SIZE_MAX,
		{
			{ "no-private-users", NULL, "turn PrivateUsers= off even for a service of root", ARG(no_private_users) },
			OPTION_ROOT,
		},
		pramctl_enable,
	},
	{
		"disable", "UNIT...", "stop keeping services across a kexec", 1, SIZE_MAX,
		{ OPTION_ROOT },
		pramctl_disable,
	},
	{
		"services", "", "show services that are kept across a kexec", 0, 0,
		{ OPTION_JSON, OPTION_ROOT },
		pramctl_services,
	},
	{
		"timeline", "", "show where the time of the last kexec went", 0, 0,
		{
			OPTION_JSON,
			{ "svg", NULL, "print a picture, as SVG", ARG(svg) },
			OPTION_ROOT,
		},
		pramctl_timeline,
	},
	{
		"kexec", "[VERSION|FILE]", "load a kernel and go down for it", 0, 1,
		{
			OPTION_JSON,
			{ "dry-run", NULL, "show what would be done, and do nothing", ARG(dry_run) },
			{ "initrd", "FILE", "the initrd to load", ARG(initrd) },
			{ "append", "TEXT", "more words for the kernel command line", ARG(append) },
			OPTION_ROOT,
		},
		pramctl_kexec,
	},
	{ .name = NULL },
};

void pramctl_error(const char *format, ...)
{
	va_list args;

	fputs("pramctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void print_help(FILE *out)
{
	fputs("Usage: pramctl VERB [OPTION]... [OPERAND]...\n"
	      "Manage the checkpoints that CRIU keeps in PRAM, memory that survives a kexec.\n\n"
	      "Verbs:\n", out);
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++)
		fprintf(out, "  %-8s %-17s  %s\n", c->name, c->operands, c->help);
	fputs("\n'pramctl VERB --help' lists a verb's options. Others:\n"
	      "  --help     show this\n"
	      "  --version  show the version\n\n"
	      "See pramctl(8) for more.\n", out);
}

static void print_command_help(const struct pramctl_command *command)
{
	printf("Usage: pramctl %s [OPTION]...%s%s\n%c%s.\n\nOptions:\n", command->name,
	       *command->operands ? " " : "", command->operands, toupper(*command->help),
	       command->help + 1);
	for (const struct pramctl_option *o = command->options; o->name; o++) {
		int len = printf("  --%s%s%s", o->name, o->argument ? " " : "",
				 o->argument ? o->argument : "");

		printf("%*s  %s\n", len < 16 ? 16 - len : 0, "", o->help);
	}
	printf("  %-14s  %s\n", "--help", "show this");
}

/* For bash; generated when pramctl is built, so not for people to call. */
static void print_completion(void)
{
	puts("# SPDX-License-Identifier: GPL-2.0-only\n"
	     "# Generated by pramctl --bash-completion.\n"
	     "_pramctl() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then");
	fputs("\t\twords='--help --version", stdout);
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++)
		printf(" %s", c->name);
	puts("'\n\telse\n\t\tcase ${COMP_WORDS[1]} in");
	for (const struct pramctl_command *c = pramctl_commands; c->name; c++) {
		printf("\t\t%s) words='--help", c->name);
		for (const struct pramctl_option *o = c->options; o->name; o++)
			printf(" --%s", o->name);
		puts("' ;;");
	}
	puts("\t\tesac\n\tfi\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	     "}\n"
	     "complete -o default -F _pramctl pramctl");
}

static enum pramctl_exit usage_error(const char *verb)
{
	if (verb)
		fprintf(stderr, "Try 'pramctl %s --help'.\n", verb);
	else
		fputs("Try 'pramctl --help'.\n", stderr);
	return PRAMCTL_USAGE;
}

enum parsed {
	PARSED_RUN,
	PARSED_HELP,
	PARSED_ERROR,
};

/* argv[0] is the verb. */
static enum parsed parse(const struct pramctl_command *command, int argc, char **argv,
			 struct pramctl_args *args)
{
	/* One more for --help, and one to end them. */
	struct option options[PRAMCTL_OPTIONS_MAX + 2] = { { .name = NULL } };
	size_t nr = 0;
	int c, index;

	while (command->options[nr].name) {
		options[nr].name = command->options[nr].name;
		options[nr].has_arg = command->options[nr].argument ? required_argument :
								      no_argument;
		nr++;
	}
	options[nr].name = "help";

	/* 0 and not 1: so that glibc forgets what it parsed before. */
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, &index)) != -1) {
		void *member;

		if (c == ':')
			pramctl_error("option '%s' needs an argument", argv[optind - 1]);
		else if (c)
			pramctl_error("%s has no option '%s'", command->name, argv[optind - 1]);
		if (c)
			return PARSED_ERROR;
		if ((size_t)index == nr)
			return PARSED_HELP;
		member = (char *)args + command->options[index].member;
		if (command->options[index].argument)
			*(const char **)member = optarg;
		else
			*(bool *)member = true;
	}
	args->nr = argc - optind;
	args->operands = argv + optind;
	if (args->nr < command->min_operands || args->nr > command->max_operands) {
		pramctl_error("%s takes %s", command->name,
			      *command->operands ? command->operands : "no operands");
		return PARSED_ERROR;
	}
	return PARSED_RUN;
}

/* Verbs open a descriptor per node; a checkpoint can have thousands of them. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int pramctl_main(int argc, char **argv)
{
	const struct pramctl_command *command = pramctl_commands;
	struct pramctl_args args = { .root = "" };
	enum pramctl_exit status;

	setlocale(LC_ALL, "");
	if (argc < 2) {
		print_help(stderr);
		return PRAMCTL_USAGE;
	}
	if (!strcmp(argv[1], "--help")) {
		print_help(stdout);
		return PRAMCTL_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("pramctl %s (interface %d)\n", PRAM_VERSION, PRAM_ABI_VERSION);
		return PRAMCTL_OK;
	}
	if (!strcmp(argv[1], "--bash-completion")) {
		print_completion();
		return PRAMCTL_OK;
	}
	while (command->name && strcmp(command->name, argv[1]))
		command++;
	if (!command->name) {
		pramctl_error("there is no verb '%s'", argv[1]);
		return usage_error(NULL);
	}

	args.verb = command->name;
	switch (parse(command, argc - 1, argv + 1, &args)) {
	case PARSED_HELP:
		print_command_help(command);
		return PRAMCTL_OK;
	case PARSED_ERROR:
		return usage_error(command->name);
	case PARSED_RUN:
		break;
	}
	raise_file_limit();
	status = command->run(&args);
	/* A script that reads half a list must not take it for the whole one. */
	if (fflush(stdout) || ferror(stdout)) {
		pramctl_error("the output can't be written: %s", strerror(errno));
		return PRAMCTL_FAILED;
	}
	return status;
}
