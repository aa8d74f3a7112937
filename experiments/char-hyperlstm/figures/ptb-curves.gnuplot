# Made by `char-hyperlstm results` from the records; draw with: gnuplot ptb-curves.gnuplot
set terminal svg size 800,500 font 'Helvetica,14' background rgb 'white'
set output 'ptb-curves.svg'
set title 'Penn Treebank, characters: validation (1000 steps)'
set xlabel 'training steps'
set ylabel 'bits per character'
set grid
set key top right
$curve0 << END
100 3.6119
250 3.0160
500 2.5916
750 2.2975
1000 2.1144
END
$curve1 << END
100 2.5662
250 1.9817
500 1.7639
750 1.6746
1000 1.6236
END
$curve2 << END
500 1.7900
1000 1.6300
END
plot $curve0 using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor 1 title 'LSTM, 1000 units, seed 0', \
     $curve1 using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor 2 title 'Layer Norm HyperLSTM, 1000 units, seed 0', \
     $curve2 using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 dashtype 2 linecolor rgb 'black' title 'author''s plot, HyperLSTM 1000'
