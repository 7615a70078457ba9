# Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
dyn.load(commandArgs(trailingOnly = TRUE)[1])

forward <- function(chain, x) .Call("chain_forward", chain, x)
gradient <- function(chain, x, y) .Call("chain_gradient", chain, x, y)
fit <- function(chain, x, y) .Call("chain_fit", chain, x, y)

show <- function(what, of) cat(what, sprintf("%a", of), "\n")

# Hexadecimal numbers: R's reader of decimal ones does not always find the nearest double.
words <- as.numeric(scan(file("stdin"), what = "", quiet = TRUE))
at <- 0
read <- function(n) {
  at <<- at + n
  words[seq_len(n) + at - n]
}

while (at < length(words)) {
  head <- read(4)
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
  repeats <- head[4]
  if (repeats > 0) {
    a <- x[1]
    b <- y[1]
    start <- Sys.time()
    for (i in seq_len(repeats)) gradient(chain, a, b)
    cat("ns", as.numeric(Sys.time() - start, units = "secs") * 1e9 / repeats, "\n")
  }
}
