# SPDX-License-Identifier: GPL-2.0-only
#
# gnuplot: seconds against size, from dir/curve-KIND-OP-BACKEND (MiB, seconds) for
# those that there are, as an SVG.
set terminal svg size 900,640 font "sans-serif,13" background rgb "white" name "bench"
set multiplot layout 2,2 margins 0.07,0.97,0.08,0.89 spacing 0.08,0.15 \
	title "criu dump and restore, one task: seconds against its size"
set logscale xy
set format x "%g"
set xtics (64, 128, 256, 512, 1024, 2048, 4096)
set xlabel "MiB" offset 0,0.5
set yrange [0.1:100]
set grid xtics ytics lt 1 lc rgb "#cccccc"
set key top left Left reverse samplen 2

array Colour[4] = ["#d62728", "#1f77b4", "#2ca02c", "#888888"]
array Title[4] = ["PRAM", "tmpfs", "LUO memfd", "disk"]
do for [kind in "4k thp"] {
	do for [op in "dump restore"] {
		set title (kind eq "4k" ? "4 KiB pages, " : "huge pages, ").op
		files = dir."/curve-".kind."-".op."-"
		there = system("for i in 1 2 3 4; do set -- pram tmpfs luo disk; shift $((i - 1)); ".\
			       "[ ! -f ".files."$1 ] || printf '%d ' $i; done")
		if (words(there) == 0) { continue }
		plot [128:5000] for [n = 1:words(there)] i = int(word(there, n)), \
			files.word("pram tmpfs luo disk", i) \
			using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb Colour[i] title Title[i]
	}
}
unset multiplot
