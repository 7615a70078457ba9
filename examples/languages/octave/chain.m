% Chains read from standard input, and a fit of a named curve; ../README.md has the format.
1;

function show(what, of)
  printf("%s", what);
  printf(" %.17g", of);
  printf("\n");
end

words = fscanf(stdin, "%f")';
at = 0;
while at < numel(words)
  head = words(at + (1:5));
  layers = head(1);
  n = head(2);
  sizes = [layers, 2 * layers, 2 * layers, n, n];
  parts = mat2cell(words(at + 5 + (1:sum(sizes))), 1, sizes);
  at = at + 5 + sum(sizes);
  [activations, frozen, params, x, y] = parts{:};
  activations = uint8(activations);

  [gradient, out] = chain_mex(params, activations, x, y);
  show("forward", out);
  show("gradient", gradient);
  if head(3)
    [fitted, iterations] = chain_mex(params, activations, x, y, uint8(frozen));
    show("iterations", iterations);
    show("fit", fitted);
  end
  if head(4)
    [natural, covariance, rss] = chain_mex(x, y);
    scale = [1, 1, natural(3), 1]; % the covariance has log(ec50)
    show("natural", natural);
    show("errors", sqrt(diag(covariance)' .* scale .* scale));
    show("rss", rss);
  end
  repeats = head(5);
  if repeats > 0
    tic;
    for i = 1:repeats
      gradient = chain_mex(params, activations, x(1), y(1));
    end
    show("ns", toc * 1e9 / repeats);
  end
end
