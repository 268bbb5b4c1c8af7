# Draws what bench-forecast measured: gnuplot -c pictures.gp DATA FOLDER
# DATA: a line a model, from the most accurate an hour ahead: name, rel_sql at 5 minutes, 1 hour and 1 day, slack of the
# hour and of the day, CPU seconds a forecast.
data = ARG1
folder = ARG2
set terminal svg noenhanced size 900,420 font "sans-serif,12" background "white"
set datafile separator ","
set style line 1 lc rgb "#1b6ca8"
set style line 2 lc rgb "#57a773"
set style line 3 lc rgb "#e09f3e"

set output folder . "/forecast-accuracy.svg"
set title "Scaled quantile loss relative to the same time a day before (less is better)"
set style data histograms
set style histogram clustered gap 1
set style fill solid noborder
set xtics rotate by -35 nomirror
set ytics nomirror
set grid ytics lc rgb "#dddddd"
set yrange [0:*]
set key top left
plot data using 2:xtic(1) ls 1 title "next 5 minutes", "" using 3 ls 2 title "1 hour", "" using 4 ls 3 title "1 day", \
     1 with lines lc rgb "#888888" dt 2 notitle

set output folder . "/forecast-cost.svg"
set title "Accuracy an hour ahead against what a forecast costs (down and left is better)"
unset style
set xtics norotate
set logscale x
set yrange [0.3:1.25]
set xrange [0.000004:0.06]
set format x "%.0s %cs"
set xlabel "CPU time of a fit and 288 steps"
set ylabel "relative loss"
unset key
# The ensemble's members lie on it.
y(name, loss) = name eq "mlp" || name eq "lstm" ? NaN : loss
plot data using 7:(y(strcol(1), $3)) with points pt 7 ps 0.7 lc rgb "#1b6ca8", \
     "" using 7:(y(strcol(1), $3)):1 with labels left offset 0.6,0.3 font ",10"
