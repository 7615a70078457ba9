// Chains read from standard input, and a fit of a named curve; ../README.md has the format.
package main

/*
#cgo LDFLAGS: -lcbackprop -lm
#include <cbackprop.h>

// Structs come by value: cgo lets C have the address of no Go memory that itself holds addresses.
static int forward(cbp_chain chain, const double *x, size_t n, double *out)
{
    return cbp_forward(&chain, x, n, out);
}

static int gradient(cbp_chain chain, cbp_examples examples, double *work, double *out)
{
    return cbp_gradient(&chain, &examples, NULL, work, NULL, out);
}

static int fit(cbp_chain chain, cbp_examples examples, double *work, double *params,
               size_t *iterations)
{
    cbp_fit_options options;
    cbp_fit_info info = {0};
    cbp_fit_defaults(&options);
    const int status = cbp_fit_lm(&chain, &examples, &options, work, params, &info);
    *iterations = info.iterations;
    return status;
}

static int fit_logistic4(cbp_examples examples, double *work, double *natural, double *covariance,
                         double *rss)
{
    double params[6], triangle[5 * 5];
    unsigned char determined[4];
    cbp_curve_result result = {.natural = natural, .params = params, .covariance = covariance,
                               .determined = determined, .triangle = triangle};
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    const int status = cbp_curve_fit(cbp_curve_named("logistic4"), &examples, NULL, &options, work,
                                     &result);
    *rss = result.rss;
    return status;
}
*/
import "C"

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
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

func (c *Chain) view() C.cbp_chain {
	return C.cbp_chain{params: numbers(c.Params), activations: bytes(c.Activations),
		frozen: bytes(c.Frozen), layers: C.size_t(len(c.Activations))}
}

func examples(x, y []float64) C.cbp_examples {
	return C.cbp_examples{x: numbers(x), y: numbers(y), n: C.size_t(len(x))}
}

func (c *Chain) Forward(x []float64) ([]float64, error) {
	out := make([]float64, len(x))
	return out, check(C.forward(c.view(), numbers(x), C.size_t(len(x)), numbers(out)))
}

// Gradient writes to out, so that a loop allocates nothing.
func (c *Chain) Gradient(x, y, work, out []float64) error {
	return check(C.gradient(c.view(), examples(x, y), numbers(work), numbers(out)))
}

// Fit moves the parameters, and returns the number of iterations.
func (c *Chain) Fit(x, y []float64) (int, error) {
	var iterations C.size_t
	layers := C.size_t(len(c.Activations))
	work := make([]float64, C.cbp_fit_work_len(layers, 2*layers, C.size_t(len(x))))
	err := check(C.fit(c.view(), examples(x, y), numbers(work), numbers(c.Params), &iterations))
	return int(iterations), err
}

// Logistic4 is bottom, top, ec50 and slope, their standard errors, and the sum of squares.
type Logistic4 struct {
	Natural, Errors [4]float64
	Rss             float64
}

// FitLogistic4 needs no start.
func FitLogistic4(x, y []float64) (Logistic4, error) {
	var found Logistic4
	var covariance [4][4]float64
	work := make([]float64, C.cbp_curve_fit_work_len(C.size_t(len(x))))
	err := check(C.fit_logistic4(examples(x, y), numbers(work), numbers(found.Natural[:]),
		numbers(covariance[0][:]), (*C.double)(&found.Rss)))
	scale := [4]float64{1, 1, found.Natural[2], 1} // the covariance has log(ec50)
	for k := range scale {
		found.Errors[k] = math.Sqrt(covariance[k][k] * scale[k] * scale[k])
	}
	return found, err
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
	for head := read(5); len(head) == 5; head = read(5) {
		layers, n, repeats := int(head[0]), int(head[1]), int(head[4])
		activations, frozen := readBytes(layers), readBytes(2*layers)
		chain := Chain{read(2 * layers), activations, frozen}
		x, y := read(n), read(n)
		work := make([]float64, C.cbp_work_len(C.size_t(layers), C.size_t(n)))
		gradient := make([]float64, 2*layers)

		out, err := chain.Forward(x)
		must(err)
		print("forward", out)
		must(chain.Gradient(x, y, work, gradient))
		print("gradient", gradient)
		if head[2] != 0 {
			iterations, err := chain.Fit(x, y)
			must(err)
			fmt.Println("iterations", iterations)
			print("fit", chain.Params)
		}
		if head[3] != 0 {
			found, err := FitLogistic4(x, y)
			must(err)
			print("natural", found.Natural[:])
			print("errors", found.Errors[:])
			print("rss", []float64{found.Rss})
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
