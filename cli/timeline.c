// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the time of the last kexec went, for each service: from its freeze to its run, by what
 * pram-service has noted. Both kernels take the time from the same hardware clock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "pramctl.h"
#include "record.h"
#include "services.h"
#include "unit.h"
#include "util.h"

#define BAR_COLUMNS	48
#define NR_PHASES	6

static const char *const phase_names[NR_PHASES] = {
	"dump", "shutdown", "kexec", "boot", "restore", "others",
};

/**
 * struct timeline - all that is to be shown
 * @root: where its files are
 * @services: an array of objects, each with an array of phases
 * @start: the first freeze, in ns since 1970
 * @end: when the last one ran
 */
struct timeline {
	const char		*root;
	struct json_object	*services;
	uint64_t		start, end;
};

static void add_phase(struct json_object *phases, const char *name, uint64_t start, uint64_t end)
{
	struct json_object *phase = output_new_object();

	output_add_string(phase, "phase", name);
	output_add_number(phase, "start_ns", start);
	output_add_number(phase, "end_ns", end);
	output_append(phases, phase);
}

/* The next moment; a clock that was set back meanwhile stands still here. */
static uint64_t not_before(uint64_t before, uint64_t moment)
{
	return moment > before ? moment : before;
}

static void add_service(const char *unit, void *arg)
{
	struct timeline *timeline = arg;
	struct json_object *history = record_history_load(timeline->root, unit), *service, *phases;
	const uint64_t end = record_number(history, "ended_ns");
	const uint64_t boot = record_number(history, "boot_ns");
	uint64_t at[NR_PHASES + 1], restored;

	if (!end || !boot || strcmp(record_text(history, "result"), "restored")) {
		json_object_put(history);
		return;
	}
	at[0] = record_number(history, "dumped_ns");
	at[1] = at[0] + record_number(history, "dump_ms") * 1000000;
	/* If the kexec did not come, there is nothing in between. */
	at[2] = not_before(at[1], record_number(history, "down_ns"));
	at[3] = not_before(at[2], boot);
	/* Requests were let in when other services were restored, too. */
	restored = end - record_number(history, "others_ms") * 1000000;
	at[4] = not_before(at[3], restored - record_number(history, "restore_ms") * 1000000);
	at[5] = not_before(at[4], restored);
	at[6] = not_before(at[5], end);
	service = output_new_object();
	phases = output_new_array();
	for (int i = 0; i < NR_PHASES; i++)
		add_phase(phases, phase_names[i], at[i], at[i + 1]);
	output_add_string(service, "unit", unit);
	output_add_string(service, "from_kernel", record_text(history, "from_kernel"));
	output_add(service, "phases", phases);
	output_append(timeline->services, service);
	if (!timeline->start || at[0] < timeline->start)
		timeline->start = at[0];
	timeline->end = not_before(timeline->end, at[NR_PHASES]);
	json_object_put(history);
}

static uint64_t phase_number(struct json_object *phase, const char *key)
{
	return json_object_get_uint64(json_object_object_get(phase, key));
}

static void print_bar(const struct timeline *timeline, struct json_object *phase)
{
	const uint64_t start = phase_number(phase, "start_ns"), end = phase_number(phase, "end_ns");
	const uint64_t all = timeline->end > timeline->start ? timeline->end - timeline->start : 1;
	const int from = (start - timeline->start) * BAR_COLUMNS / all;
	int to = (end - timeline->start) * BAR_COLUMNS / all;

	/* What took any time can be seen. */
	if (end > start && to == from)
		to++;
	printf("  %-8s |", json_object_get_string(json_object_object_get(phase, "phase")));
	for (int i = 0; i < BAR_COLUMNS; i++)
		putchar(i >= from && i < to ? '#' : ' ');
	printf("| %7.1f s\n", (end - start) / 1e9);
}

static void print(const struct timeline *timeline)
{
	const size_t nr = json_object_array_length(timeline->services);

	if (!nr)
		puts("No service was restored after the last kexec; 'pramctl services' shows more.");
	for (size_t i = 0; i < nr; i++) {
		struct json_object *service = json_object_array_get_idx(timeline->services, i);
		struct json_object *phases = json_object_object_get(service, "phases");
		struct json_object *last = json_object_array_get_idx(phases, NR_PHASES - 1);

		printf("%s%s: stood still for %.1f s\n", i ? "\n" : "",
		       json_object_get_string(json_object_object_get(service, "unit")),
		       (phase_number(last, "end_ns") -
			phase_number(json_object_array_get_idx(phases, 0), "start_ns")) / 1e9);
		for (int k = 0; k < NR_PHASES; k++)
			print_bar(timeline, json_object_array_get_idx(phases, k));
	}
}

/* ---- as a picture ------------------------------------------------------ */

#define SVG_WIDTH	900
#define SVG_LEFT	170	/* names of services */
#define SVG_RIGHT	70	/* and how long it took */
#define SVG_TOP		40	/* what the colours are */
#define SVG_ROW		30

static const char *const colours[NR_PHASES] = {
	"#d1495b", "#c9c9c9", "#edae49", "#00798c", "#30638e", "#8d96a3",
};

/* Names of units may have what XML has a meaning for. */
static void put_xml(const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '&')
			printf("&#%d;", *text);
		else
			putchar(*text);
	}
}

static void print_row(const struct timeline *timeline, struct json_object *service, int y)
{
	const double scale = (SVG_WIDTH - SVG_LEFT - SVG_RIGHT) /
			     (double)(timeline->end > timeline->start ? timeline->end - timeline->start : 1);
	struct json_object *phases = json_object_object_get(service, "phases");
	uint64_t first = 0, end = 0;

	printf("<text x=\"5\" y=\"%d\">", y + 15);
	put_xml(json_object_get_string(json_object_object_get(service, "unit")));
	puts("</text>");
	for (int i = 0; i < NR_PHASES; i++) {
		struct json_object *phase = json_object_array_get_idx(phases, i);
		const uint64_t start = phase_number(phase, "start_ns");

		end = phase_number(phase, "end_ns");
		first = i ? first : start;
		if (end > start)
			printf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"20\" fill=\"%s\"><title>%s: %.1f s</title></rect>\n",
			       SVG_LEFT + (start - timeline->start) * scale, y, (end - start) * scale,
			       colours[i], phase_names[i], (end - start) / 1e9);
	}
	printf("<text x=\"%d\" y=\"%d\">%.1f s</text>\n", SVG_WIDTH - SVG_RIGHT + 5, y + 15,
	       (end - first) / 1e9);
}

static void print_svg(const struct timeline *timeline)
{
	const int nr = json_object_array_length(timeline->services);
	const int height = SVG_TOP + nr * SVG_ROW;

	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", SVG_WIDTH, height);
	for (int i = 0; i < NR_PHASES; i++)
		printf("<rect x=\"%d\" y=\"12\" width=\"11\" height=\"11\" fill=\"%s\"/><text x=\"%d\" y=\"22\">%s</text>\n",
		       SVG_LEFT + 100 * i, colours[i], SVG_LEFT + 100 * i + 16, phase_names[i]);
	for (int i = 0; i < nr; i++)
		print_row(timeline, json_object_array_get_idx(timeline->services, i), SVG_TOP + i * SVG_ROW);
	puts("</svg>");
}

enum pramctl_exit pramctl_timeline(const struct pramctl_args *args)
{
	struct timeline timeline = { .root = args->root, .services = output_new_array() };
	struct json_object *object;

	services_for_each(args->root, add_service, &timeline);
	if (args->json) {
		object = output_new_object();
		output_add(object, "services", timeline.services);
		output_json(object);
	} else {
		if (args->svg)
			print_svg(&timeline);
		else
			print(&timeline);
		json_object_put(timeline.services);
	}
	return PRAMCTL_OK;
}
