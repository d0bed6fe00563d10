// SPDX-License-Identifier: GPL-2.0-only
#include "pramctl.h"

int main(int argc, char **argv)
{
	return pramctl_main(argc, argv);
}
