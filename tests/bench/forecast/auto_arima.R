# auto.arima of R's forecast package, one fit and 288 steps for each line of a file: comma-separated values, oldest
# first. Prints for each line the CPU seconds of fit and forecast, the order, and the 288 means.
# usage: Rscript auto_arima.R FILE
suppressPackageStartupMessages(library(forecast))
lines <- readLines(commandArgs(trailingOnly = TRUE)[1])
# The first call of anything in R is slow.
invisible(forecast(auto.arima(ts(sin(1:300) + 1:300 %% 7)), h = 10))
for (line in lines) {
  y <- as.numeric(strsplit(line, ",")[[1]])
  before <- proc.time()
  fit <- auto.arima(ts(y), seasonal = FALSE)
  mean <- as.numeric(forecast(fit, h = 288)$mean)
  spent <- proc.time() - before
  cat(sprintf("%.4f,%s,%s\n", spent[["user.self"]] + spent[["sys.self"]],
              paste(arimaorder(fit)[1:3], collapse = "/"), paste(sprintf("%.10g", mean), collapse = ",")))
  flush(stdout())
}
