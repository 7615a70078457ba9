! Chains read from standard input, and a fit of a named curve; ../README.md has the format.
module cbackprop
  use, intrinsic :: iso_c_binding
  implicit none

  type, bind(c) :: cbp_chain
    type(c_ptr) :: params, activations, frozen
    integer(c_size_t) :: layers
  end type

  type, bind(c) :: cbp_examples
    type(c_ptr) :: x, y, weight
    integer(c_size_t) :: n
  end type

  type, bind(c) :: cbp_loss
    integer(c_int) :: kind
    real(c_double) :: scale
  end type

  type, bind(c) :: cbp_fit_options
    integer(c_size_t) :: size
    type(cbp_loss) :: loss
    type(c_ptr) :: lower, upper
    integer(c_size_t) :: max_iterations
    real(c_double) :: tolerance
    type(c_funptr) :: progress
    type(c_ptr) :: user, history
    integer(c_size_t) :: history_len, restarts
    integer(c_long_long) :: seed
    integer(c_int) :: method
    real(c_double) :: learning_rate, momentum
    integer(c_size_t) :: batch_size
  end type

  type, bind(c) :: cbp_fit_info
    integer(c_int) :: outcome
    integer(c_size_t) :: iterations, evaluations
    real(c_double) :: loss, gradient_norm
    type(c_ptr) :: params
  end type

  type, bind(c) :: cbp_curve_result
    type(c_ptr) :: natural, params, covariance, determined, triangle
    real(c_double) :: variance, loss, df, examples, weight, log_weight, rss, total_squares
    integer(c_int) :: outcome
    integer(c_size_t) :: iterations, evaluations, fixed_at
    integer(c_int) :: status
  end type

  interface
    integer(c_int) function cbp_forward(chain, x, n, out) bind(c)
      import
      type(cbp_chain), intent(in) :: chain
      real(c_double), intent(in) :: x(*)
      integer(c_size_t), value :: n
      real(c_double), intent(out) :: out(*)
    end function

    integer(c_size_t) function cbp_work_len(layers, n) bind(c)
      import
      integer(c_size_t), value :: layers, n
    end function

    integer(c_int) function cbp_gradient(chain, examples, loss, work, mean, gradient) bind(c)
      import
      type(cbp_chain), intent(in) :: chain
      type(cbp_examples), intent(in) :: examples
      type(cbp_loss), intent(in), optional :: loss
      real(c_double), intent(inout) :: work(*)
      real(c_double), intent(out), optional :: mean
      real(c_double), intent(out) :: gradient(*)
    end function

    integer(c_int) function cbp_fit_defaults(options) bind(c)
      import
      type(cbp_fit_options), intent(out) :: options
    end function

    integer(c_size_t) function cbp_fit_work_len(layers, free, n) bind(c)
      import
      integer(c_size_t), value :: layers, free, n
    end function

    integer(c_int) function cbp_fit_lm(chain, examples, options, work, params, info) bind(c)
      import
      type(cbp_chain), intent(in) :: chain
      type(cbp_examples), intent(in) :: examples
      type(cbp_fit_options), intent(in) :: options
      real(c_double), intent(inout) :: work(*), params(*)
      type(cbp_fit_info), intent(out) :: info
    end function

    type(c_ptr) function cbp_curve_named(name) bind(c)
      import
      character(kind=c_char), intent(in) :: name(*)
    end function

    integer(c_size_t) function cbp_curve_fit_work_len(n) bind(c)
      import
      integer(c_size_t), value :: n
    end function

    integer(c_int) function cbp_curve_fit(curve, examples, fixed, options, work, result) bind(c)
      import
      type(c_ptr), value :: curve
      type(cbp_examples), intent(in) :: examples
      real(c_double), intent(in), optional :: fixed(*)
      type(cbp_fit_options), intent(in) :: options
      real(c_double), intent(inout) :: work(*)
      type(cbp_curve_result), intent(inout) :: result
    end function
  end interface
end module

program main
  use cbackprop
  implicit none
  integer(c_size_t) :: layers, n, i, repeats
  integer :: fit, curve, at_end
  integer(c_signed_char), allocatable, target :: activations(:), frozen(:)
  real(c_double), allocatable, target :: params(:), x(:), y(:)
  real(c_double), allocatable :: forward(:), gradient(:), work(:)
  type(cbp_chain) :: chain
  type(cbp_examples) :: examples
  type(cbp_fit_options) :: options
  type(cbp_fit_info) :: info
  real(c_double) :: start, finish

  do
    read (*, *, iostat=at_end) layers, n, fit, curve, repeats
    if (at_end /= 0) exit
    allocate (activations(layers), frozen(2*layers), params(2*layers), x(n), y(n))
    allocate (forward(n), gradient(2*layers))
    allocate (work(max(cbp_work_len(layers, n), cbp_fit_work_len(layers, 2*layers, n))))
    read (*, *) activations
    read (*, *) frozen
    read (*, *) params
    read (*, *) x
    read (*, *) y
    chain = cbp_chain(c_loc(params), c_loc(activations), c_loc(frozen), layers)
    examples = cbp_examples(c_loc(x), c_loc(y), c_null_ptr, n)

    call check(cbp_forward(chain, x, n, forward))
    call show("forward", forward)
    call check(cbp_gradient(chain, examples, work=work, gradient=gradient))
    call show("gradient", gradient)
    if (fit /= 0) then
      call check(cbp_fit_defaults(options))
      call check(cbp_fit_lm(chain, examples, options, work, params, info))
      print "(a, 1x, i0)", "iterations", info%iterations
      call show("fit", params)
    end if
    if (curve /= 0) call fit_curve(examples)
    if (repeats > 0) then
      examples%n = 1
      call cpu_time(start)
      do i = 1, repeats
        call check(cbp_gradient(chain, examples, work=work, gradient=gradient))
      end do
      call cpu_time(finish)
      print "(a, 1x, f0.2)", "ns", (finish - start)*1d9/repeats
    end if
    deallocate (activations, frozen, params, x, y, forward, gradient, work)
  end do

contains

  ! Fits bottom, top, ec50 and slope of "logistic4"; no start is needed.
  subroutine fit_curve(examples)
    type(cbp_examples), intent(in) :: examples
    real(c_double), target :: natural(4), params(6), covariance(4, 4), triangle(5, 5)
    integer(c_signed_char), target :: determined(4)
    real(c_double), allocatable :: work(:)
    real(c_double) :: errors(4), scale
    type(cbp_fit_options) :: options
    type(cbp_curve_result) :: result
    integer :: k

    allocate (work(cbp_curve_fit_work_len(examples%n)))
    result%natural = c_loc(natural)
    result%params = c_loc(params)
    result%covariance = c_loc(covariance)
    result%determined = c_loc(determined)
    result%triangle = c_loc(triangle)
    call check(cbp_fit_defaults(options))
    call check(cbp_curve_fit(cbp_curve_named("logistic4"//c_null_char), examples, options=options, &
                             work=work, result=result))
    do k = 1, 4
      scale = merge(natural(k), 1d0, k == 3) ! the covariance has log(ec50)
      errors(k) = sqrt(covariance(k, k)*scale*scale)
    end do
    call show("natural", natural)
    call show("errors", errors)
    call show("rss", [result%rss])
  end subroutine

  subroutine check(status)
    integer(c_int), intent(in) :: status
    if (status /= 0) then
      print *, "status", status
      error stop
    end if
  end subroutine

  subroutine show(what, numbers)
    character(*), intent(in) :: what
    real(c_double), intent(in) :: numbers(:)
    print "(a, *(1x, es24.16e3))", what, numbers
  end subroutine
end program
