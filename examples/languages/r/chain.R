# Chains read from standard input, and a fit of a named curve; ../README.md has the format.
dyn.load(commandArgs(trailingOnly = TRUE)[1])

forward <- function(chain, x) .Call("chain_forward", chain, x)
gradient <- function(chain, x, y) .Call("chain_gradient", chain, x, y)
fit <- function(chain, x, y) .Call("chain_fit", chain, x, y)

# "logistic4": bottom, top, ec50 and slope, their standard errors, and the sum of squares.
fit_curve <- function(x, y) {
  found <- .Call("curve_fit", x, y)
  scale <- c(1, 1, found$natural[3], 1) # the covariance has log(ec50)
  found$errors <- sqrt(diag(found$covariance) * scale * scale)
  found
}

show <- function(what, of) cat(what, sprintf("%a", of), "\n")

# Hexadecimal numbers: R's reader of decimal ones does not always find the nearest double.
words <- as.numeric(scan(file("stdin"), what = "", quiet = TRUE))
at <- 0
read <- function(n) {
  at <<- at + n
  words[seq_len(n) + at - n]
}

while (at < length(words)) {
  head <- read(5)
  layers <- head[1]
  chain <- list(
    activations = as.raw(read(layers)), frozen = as.raw(read(2 * layers)), params = read(2 * layers)
  )
  x <- read(head[2])
  y <- read(head[2])

  show("forward", forward(chain, x))
  show("gradient", gradient(chain, x, y))
  if (head[3] > 0) {
    found <- fit(chain, x, y)
    cat("iterations", attr(found, "iterations"), "\n")
    show("fit", found)
  }
  if (head[4] > 0) {
    found <- fit_curve(x, y)
    show("natural", found$natural)
    show("errors", found$errors)
    show("rss", found$rss)
  }
  repeats <- head[5]
  if (repeats > 0) {
    a <- x[1]
    b <- y[1]
    start <- Sys.time()
    for (i in seq_len(repeats)) gradient(chain, a, b)
    cat("ns", as.numeric(Sys.time() - start, units = "secs") * 1e9 / repeats, "\n")
  }
}
