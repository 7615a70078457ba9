// Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
package main

/*
#cgo LDFLAGS: -lcbackprop -lm
#include <cbackprop.h>
#include <stdlib.h>
*/
import "C"

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"
)

type Chain struct {
	Params              []float64
	Activations, Frozen []byte
}

func check(status C.int) error {
	if status == C.CBP_OK {
		return nil
	}
	return errors.New(C.GoString(C.cbp_status_string(status)))
}

func bytes(of []byte) *C.uchar { return (*C.uchar)(&of[0]) }

func numbers(of []float64) *C.double {
	if len(of) == 0 { // work memory that is not needed
		return nil
	}
	return (*C.double)(&of[0])
}

func (c *Chain) layers() C.size_t { return C.size_t(len(c.Activations)) }

func (c *Chain) Forward(x []float64) ([]float64, error) {
	out := make([]float64, len(x))
	return out, check(C.cbp_forward(numbers(c.Params), bytes(c.Activations), numbers(x), c.layers(),
		C.size_t(len(x)), numbers(out)))
}

// Gradient writes to out, so that a loop allocates nothing.
func (c *Chain) Gradient(x, y, work, out []float64) error {
	return check(C.cbp_gradient(numbers(c.Params), bytes(c.Activations), numbers(x), numbers(y), nil, c.layers(),
		C.size_t(len(x)), C.CBP_SQUARED, 1, numbers(work), nil, numbers(out)))
}

func (c *Chain) Fit(x, y []float64) (int, error) {
	var options C.cbp_fit_options
	C.cbp_fit_defaults(&options)
	// In C's memory, for the core notes there where the parameters are.
	info := (*C.cbp_fit_info)(C.malloc(C.sizeof_cbp_fit_info))
	defer C.free(unsafe.Pointer(info))
	work := make([]float64, C.cbp_fit_work_len(c.layers(), 2*c.layers(), C.size_t(len(x))))
	err := check(C.cbp_fit_lm(bytes(c.Activations), bytes(c.Frozen), nil, nil, numbers(x), numbers(y), nil,
		c.layers(), C.size_t(len(x)), &options, numbers(work), numbers(c.Params), info))
	return int(info.iterations), err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func print(what string, of []float64) {
	fmt.Print(what)
	for _, number := range of {
		fmt.Print(" ", strconv.FormatFloat(number, 'g', -1, 64))
	}
	fmt.Println()
}

func main() {
	words := bufio.NewScanner(os.Stdin)
	words.Split(bufio.ScanWords)
	read := func(n int) []float64 {
		out := []float64{}
		for len(out) < n && words.Scan() {
			number, err := strconv.ParseFloat(words.Text(), 64)
			must(err)
			out = append(out, number)
		}
		return out
	}
	readBytes := func(n int) []byte {
		out := []byte{}
		for _, number := range read(n) {
			out = append(out, byte(number))
		}
		return out
	}
	for head := read(4); len(head) == 4; head = read(4) {
		layers, n, fit, repeats := int(head[0]), int(head[1]), head[2] != 0, int(head[3])
		chain := Chain{Activations: readBytes(layers), Frozen: readBytes(2 * layers), Params: read(2 * layers)}
		x, y := read(n), read(n)
		work := make([]float64, C.cbp_work_len(chain.layers(), C.size_t(n)))
		gradient := make([]float64, 2*layers)

		out, err := chain.Forward(x)
		must(err)
		print("forward", out)
		must(chain.Gradient(x, y, work, gradient))
		print("gradient", gradient)
		if fit {
			iterations, err := chain.Fit(x, y)
			must(err)
			fmt.Println("iterations", iterations)
			print("fit", chain.Params)
		}
		if repeats > 0 {
			start := time.Now()
			for i := 0; i < repeats; i++ {
				must(chain.Gradient(x[:1], y[:1], work, gradient))
			}
			fmt.Println("ns", float64(time.Since(start).Nanoseconds())/float64(repeats))
		}
	}
}
