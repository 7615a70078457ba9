// Chains read from standard input, and a fit of a named curve; ../README.md has the format.
import java.util.Scanner;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;

public final class Chain {
    static {
        System.loadLibrary("chain_jni");
    }

    private final double[] params;
    private final byte[] activations, frozen;

    Chain(double[] params, byte[] activations, byte[] frozen) {
        this.params = params;
        this.activations = activations;
        this.frozen = frozen;
    }

    double[] forward(double[] x) {
        double[] out = new double[x.length];
        forward(params, activations, x, out);
        return out;
    }

    /** Writes to out, so that a loop allocates nothing. */
    void gradient(double[] x, double[] y, double[] out) {
        gradient(params, activations, x, y, out);
    }

    /** Moves the parameters; returns the number of iterations. */
    long fit(double[] x, double[] y) {
        return fit(params, activations, frozen, x, y);
    }

    private static native void forward(
        double[] params, byte[] activations, double[] x, double[] out);

    private static native void gradient(
        double[] params, byte[] activations, double[] x, double[] y, double[] out);

    private static native long fit(
        double[] params, byte[] activations, byte[] frozen, double[] x, double[] y);

    /** Bottom, top, ec50 and slope of "logistic4", which needs no start. */
    private static final class Logistic4 {
        final double[] natural = new double[4], errors = new double[4];
        final double rss;

        Logistic4(double[] x, double[] y) {
            double[] covariance = new double[4 * 4];
            rss = fitCurve(x, y, natural, covariance);
            for (int k = 0; k < 4; k++) {
                double scale = k == 2 ? natural[k] : 1; // the covariance has log(ec50)
                errors[k] = Math.sqrt(covariance[k * 4 + k] * scale * scale);
            }
        }
    }

    private static native double fitCurve(
        double[] x, double[] y, double[] natural, double[] covariance);

    private static double[] read(Scanner words, int n) {
        return DoubleStream.generate(() -> Double.parseDouble(words.next())).limit(n).toArray();
    }

    private static byte[] readBytes(Scanner words, int n) {
        byte[] out = new byte[n];
        for (int i = 0; i < n; i++) {
            out[i] = words.nextByte();
        }
        return out;
    }

    private static void print(String what, double[] of) {
        System.out.println(DoubleStream.of(of).mapToObj(Double::toString)
            .collect(Collectors.joining(" ", what + " ", "")));
    }

    public static void main(String[] arguments) {
        Scanner words = new Scanner(System.in);
        while (words.hasNext()) {
            int layers = words.nextInt(), n = words.nextInt();
            int fit = words.nextInt(), curve = words.nextInt(), repeats = words.nextInt();
            byte[] activations = readBytes(words, layers), frozen = readBytes(words, 2 * layers);
            Chain chain = new Chain(read(words, 2 * layers), activations, frozen);
            double[] x = read(words, n), y = read(words, n), gradient = new double[2 * layers];

            print("forward", chain.forward(x));
            chain.gradient(x, y, gradient);
            print("gradient", gradient);
            if (fit > 0) {
                System.out.println("iterations " + chain.fit(x, y));
                print("fit", chain.params);
            }
            if (curve > 0) {
                Logistic4 found = new Logistic4(x, y);
                print("natural", found.natural);
                print("errors", found.errors);
                print("rss", new double[] {found.rss});
            }
            if (repeats > 0) {
                double[] a = {x[0]}, b = {y[0]};
                long start = System.nanoTime();
                for (int i = 0; i < repeats; i++) {
                    chain.gradient(a, b, gradient);
                }
                System.out.println("ns " + (double) (System.nanoTime() - start) / repeats);
            }
        }
    }
}
