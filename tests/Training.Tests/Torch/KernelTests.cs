using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>Each fused operator at every level of the processor, and as a GPU has it, forward and backward, with sizes that no vector divides.</summary>
public sealed class KernelTests(ITestOutputHelper output) : IDisposable
{
    private const float Epsilon = 1e-5f;
    private readonly string _best = TorchRuntime.Describe().Kernels;
    private readonly long _handles = TorchRuntime.LiveHandles;

    public static TheoryData<string, TensorType> Levels => new(
        from level in new[] { "baseline", "avx2", "avx512", "libtorch" }
        from type in new[] { TensorType.Float32, TensorType.BFloat16 }
        select (level, type));

    public void Dispose()
    {
        TorchRuntime.UseKernels(_best);
        Assert.Equal(_handles, TorchRuntime.LiveHandles);
    }

    [Theory, MemberData(nameof(Levels))]
    public void RmsNorm_WithAddition_AgreesWithFormula(string level, TensorType type)
    {
        const int rows = 3, width = 37;
        Check(level, type, [Inputs(1, rows, width), Inputs(1, rows, width), Inputs(1, width)],
            x => FusedOperators.AddRmsNorm(x[0], Operators.Convert(x[1], type), x[2], Epsilon).Normed,
            x =>
            {
                var sum = x[0].Zip(x[1], (a, b) => a + b).ToArray();
                return [.. sum.Chunk(width).SelectMany(row => Normed(row, x[2]))];
            });
    }

    [Theory, MemberData(nameof(Levels))]
    public void RmsNorm_GivesTheSumOnWithItsGradient(string level, TensorType type)
    {
        const int rows = 2, width = 20;
        Check(level, type, [Inputs(1, rows, width), Inputs(1, rows, width)],
            x =>
            {
                var weight = Tensor.From(Enumerable.Repeat(1f, width).ToArray(), width);
                var (sum, normed) = FusedOperators.AddRmsNorm(x[0], Operators.Convert(x[1], type), weight, Epsilon);
                return Operators.Add(sum, Operators.Convert(normed, TensorType.Float32));
            },
            x => [.. x[0].Zip(x[1], (a, b) => a + b).Chunk(width).SelectMany(row => Normed(row, [.. Enumerable.Repeat(1.0, width)]).Zip(row, (n, s) => n + s))]);
    }

    [Theory, MemberData(nameof(Levels))]
    public void HeadNorm_NormsQueriesAndKeys_LeavesValues(string level, TensorType type)
    {
        const int rows = 2, heads = 4, kvHeads = 2, d = 10;
        Check(level, type, [Inputs(1, rows, (heads + 2 * kvHeads) * d), Inputs(1, d), Inputs(1, d)],
            x => FusedOperators.HeadNorm(Operators.Convert(x[0], type), x[1], x[2], heads, kvHeads, Epsilon),
            x => [.. x[0].Chunk(d).SelectMany((head, i) => (i % (heads + 2 * kvHeads)) switch
            {
                < heads => Normed(head, x[1]),
                < heads + kvHeads => Normed(head, x[2]),
                _ => head,
            })]);
    }

    [Theory, MemberData(nameof(Levels))]
    public void GatedUnit_AgreesWithFormula(string level, TensorType type)
    {
        const int rows = 3, width = 21;
        double Silu(double g) => g / (1 + Math.Exp(-g));
        double Gelu(double g) => g / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (g + 0.044715 * g * g * g)));
        foreach (var (activation, formula) in new[] { (GateActivation.Silu, (Func<double, double>)Silu), (GateActivation.GeluTanh, Gelu) })
            Check(level, type, [Inputs(6, rows, 2 * width)],
                x => FusedOperators.GatedUnit(Operators.Convert(x[0], type), activation),
                x => [.. x[0].Chunk(2 * width).SelectMany(row => Enumerable.Range(0, width).Select(i => formula(row[i]) * row[width + i]))]);
    }

    [Theory, MemberData(nameof(Levels))]
    public void Attention_SeesOnlyItsSegmentAndThePast(string level, TensorType type)
    {
        const int heads = 4, kvHeads = 2, d = 6;
        long[] starts = [0, 1, 6, 9];
        var (cosine, sine) = Rotations(8, d / 2);
        using var rotary = new RotaryTable(Tensor.From(cosine, 8, d / 2), Tensor.From(sine, 8, d / 2));
        Check(level, type, [Inputs(2, 9, (heads + 2 * kvHeads) * d)],
            x => FusedOperators.Attention(Operators.Convert(x[0], type), heads, kvHeads, starts, AttentionScores.Plain(d), rotary),
            x => SlowAttention(x[0], heads, kvHeads, d, starts, AttentionScores.Plain(d), cosine, sine, d / 2));
    }

    /// <summary>A window shorter than the segment, capped scores of another scale, two of three pairs rotated; long tables in the second segment.</summary>
    [Theory, MemberData(nameof(Levels))]
    public void Attention_WithWindowCapAndPartialRotation_AgreesWithFormula(string level, TensorType type)
    {
        const int heads = 2, kvHeads = 1, d = 6, length = 43;
        long[] starts = [0, 4, length];
        var scores = new AttentionScores(0.7f, Softcap: 1.5f, Window: 5);
        var (cosine, sine) = Rotations(length, 2);
        float[] longCosine = [.. cosine.Select(value => value * 1.2f)], longSine = [.. sine.Select(value => value * 1.2f)];
        using var rotary = new RotaryTable(Tensor.From(cosine, length, 2), Tensor.From(sine, length, 2), new RotaryTable(Tensor.From(longCosine, length, 2), Tensor.From(longSine, length, 2)), ShortPositions: 4);
        Check(level, type, [Inputs(1, length, (heads + 2 * kvHeads) * d)],
            x => FusedOperators.Attention(Operators.Convert(x[0], type), heads, kvHeads, starts, scores, rotary),
            x =>
            {
                const int width = (heads + 2 * kvHeads) * d, first = 4;
                return [.. SlowAttention(x[0][..(first * width)], heads, kvHeads, d, [0, first], scores, cosine, sine, 2), .. SlowAttention(x[0][(first * width)..], heads, kvHeads, d, [0, length - first], scores, longCosine, longSine, 2)];
            });
    }

    [Theory, MemberData(nameof(Levels))]
    public void Attention_LongSegment_CrossesBlocks(string level, TensorType type)
    {
        LongSegment(level, type, AttentionScores.Plain(16));
        LongSegment(level, type, AttentionScores.Plain(16) with { Window = 21 });
    }

    private static void LongSegment(string level, TensorType type, AttentionScores scores)
    {
        if (!Use(level, type)) return;
        const int heads = 2, kvHeads = 1, d = 16, length = 77;
        var random = new Random(3);
        var (cosine, sine) = Rotations(length, d / 2);
        using var scope = new TensorScope();
        var rotary = new RotaryTable(Tensor.From(cosine, length, d / 2), Tensor.From(sine, length, d / 2));
        var qkv = Operators.Convert(Tensor.From([.. Inputs(1, length, (heads + 2 * kvHeads) * d)(random).Values.Select(v => (float)v)], length, (heads + 2 * kvHeads) * d), type);
        var seen = qkv.ToFloats().Select(v => (double)v).ToArray();
        var worst = GradientCheck.Distance(SlowAttention(seen, heads, kvHeads, d, [0, length], scores, cosine, sine, d / 2), FusedOperators.Attention(qkv, heads, kvHeads, [0, length], scores, rotary).ToFloats());
        Assert.True(worst < Tolerance(type), $"worst {worst}");
    }

    [Theory]
    [InlineData("baseline", 1)]
    [InlineData("avx2", 5)]
    [InlineData("avx512", 1)]
    [InlineData("avx512", 5)]
    [InlineData("libtorch", 1)]
    [InlineData("libtorch", 5)]
    public void CachedAttention_InPieces_EqualsAttentionAtOnce(string level, int piece)
    {
        if (!Use(level, TensorType.Float32)) return;
        var scores = AttentionScores.Plain(16) with { Window = 7 };
        const int heads = 4, kvHeads = 2, d = 16, length = 41, width = (heads + 2 * kvHeads) * d;
        var random = new Random(5);
        var (cosine, sine) = Rotations(length, d / 2);
        using var scope = new TensorScope();
        using var mode = TorchRuntime.WithoutGradient();
        var rotary = new RotaryTable(Tensor.From(cosine, length, d / 2), Tensor.From(sine, length, d / 2));
        float[] values = [.. Inputs(1, length, width)(random).Values.Select(v => (float)v)];
        var whole = FusedOperators.Attention(Tensor.From(values, length, width), heads, kvHeads, [0, length], scores, rotary).ToFloats();
        var cache = Tensor.Zeros(TensorType.Float32, length, 2 * kvHeads * d);
        var pieces = new List<float>();
        for (var first = 0; first < length; first += piece)
        {
            var rows = Math.Min(piece, length - first);
            pieces.AddRange(FusedOperators.CachedAttention(Tensor.From(values.AsSpan(first * width, rows * width), rows, width), heads, kvHeads, cache, first, scores, rotary).ToFloats());
        }
        Assert.True(whole.Zip(pieces, (a, b) => Math.Abs(a - b)).Max() < 1e-5);
    }

    [Theory, MemberData(nameof(Levels))]
    public void Linear_WithAdaptersOnParts_AgreesWithFormula(string level, TensorType type)
    {
        if (!Use(level, type)) return;
        const int rows = 5, inputs = 12, outputs = 10, rank = 3;
        const float scale = 1.5f;
        using var weight = new PackedWeight(outputs, inputs, type, backward: true);
        // x, W, bias, and pairs on rows 0–5 and 6–9
        var (worstOutput, worstGradient) = GradientCheck.Worst(new Random(7),
            [.. new[] { Inputs(1, rows, inputs), Inputs(1, outputs, inputs), Inputs(1, outputs), Inputs(1, rank, inputs), Inputs(1, 6, rank), Inputs(1, rank, inputs), Inputs(1, 4, rank) }.Select((make, i) => make(new Random(8 + i)))],
            x =>
            {
                weight.Pack(x[1]);
                return FusedOperators.Linear(Operators.Convert(x[0], type), weight, x[1], x[2], [new(x[3], x[4], 0, 6, scale), new(x[5], x[6], 6, 4, scale)], 0, 0);
            },
            x =>
            {
                var y = new double[rows * outputs];
                for (var t = 0; t < rows; t++)
                    for (var o = 0; o < outputs; o++)
                    {
                        var (a, b, row) = o < 6 ? (x[3], x[4], o) : (x[5], x[6], o - 6);
                        y[t * outputs + o] = x[2][o] + Enumerable.Range(0, inputs).Sum(i => x[0][t * inputs + i] * x[1][o * inputs + i])
                            + scale * Enumerable.Range(0, rank).Sum(r => b[row * rank + r] * Enumerable.Range(0, inputs).Sum(i => a[r * inputs + i] * x[0][t * inputs + i]));
                    }
                return y;
            }, type);
        output.WriteLine($"linear {level} {type}: output {worstOutput:E1}, gradient {worstGradient:E1}");
        Assert.True(worstOutput < Tolerance(type) && worstGradient < Tolerance(type));

    }

    /// <summary>On every device the same mask.</summary>
    [Fact]
    public void Linear_Dropout_KeepsTheMeanAndItsGradientUsesTheSameMask()
    {
        var kept = Dropped();
        Assert.True(TorchRuntime.UseKernels("libtorch"));
        Assert.Equal(kept, Dropped());
    }

    private static float[] Dropped()
    {
        const int rows = 64, inputs = 64;
        const double probability = 0.25;
        using var scope = new TensorScope();
        using var weight = new PackedWeight(1, inputs, TensorType.Float32, backward: true);
        weight.Source().Clear();
        weight.Pack();
        var x = Tensor.From(Enumerable.Repeat(1f, rows * inputs).ToArray(), rows, inputs).RequireGradient();
        var a = Tensor.From(Enumerable.Repeat(1f, inputs).ToArray(), 1, inputs).RequireGradient();
        var b = Tensor.From([1f], 1, 1).RequireGradient();
        var y = FusedOperators.Linear(x, weight, null, null, [new(a, b, 0, 1, 1)], probability, seed: 42);
        Operators.Sum(y).Backward(1);

        // Each output is the sum of the kept inputs, scaled; the gradient of x shows which they were.
        var kept = x.Gradient()!.ToFloats();
        Assert.All(kept, value => Assert.True(value == 0 || Math.Abs(value - 1 / (1 - probability)) < 1e-6));
        Assert.Equal(probability, kept.Count(value => value == 0) / (double)kept.Length, 0.03);
        foreach (var (sum, row) in y.ToFloats().Zip(kept.Chunk(inputs))) Assert.Equal(row.Sum(), sum, 1e-3f);
        foreach (var (slope, column) in a.Gradient()!.ToFloats().Select((slope, column) => (slope, column))) Assert.Equal(Enumerable.Range(0, rows).Sum(row => kept[row * inputs + column]), slope, 1e-3f);
        return kept;
    }

    public static TheoryData<string, TensorType, bool, double, float> Heads => new(
        from level in new[] { "baseline", "avx2", "avx512", "libtorch" }
        from head in new (TensorType Type, bool Trained, double Smoothing, float Softcap)[]
        {
            (TensorType.Float32, true, 0, 0), (TensorType.Float32, true, 0.1, 0.8f), (TensorType.Float32, false, 0.3, 0),
            (TensorType.Float32, false, 0, 0.8f), (TensorType.BFloat16, true, 0.1, 0), (TensorType.BFloat16, false, 0, 0),
        }
        select (level, head.Type, head.Trained, head.Smoothing, head.Softcap));

    [Theory, MemberData(nameof(Heads))]
    public void HeadLoss_InPieces_AgreesWithFormula(string level, TensorType type, bool trained, double smoothing, float softcap)
    {
        if (!Use(level, type)) return;
        const int rows = 131, hidden = 4, vocabulary = 19;             // more rows than the head takes at once
        var random = new Random(9);
        var targets = Enumerable.Range(0, rows).Select(_ => (long)random.Next(vocabulary)).ToArray();
        using var weight = new PackedWeight(vocabulary, hidden, type, backward: true);
        var correct = 0;
        var head = Inputs(1, vocabulary, hidden)(random);
        double[] Head(double[][] x) => trained ? x[1] : head.Values;
        head.Values.Select(value => (float)value).ToArray().CopyTo(weight.Source());
        weight.Pack();
        var (worstOutput, worstGradient) = GradientCheck.Worst(random, trained ? [Inputs(1, rows, hidden)(random), head] : [Inputs(1, rows, hidden)(random)],
            x =>
            {
                if (trained) weight.Pack(x[1]);
                var result = FusedOperators.HeadLoss(Operators.Convert(x[0], type), weight, trained ? x[1] : null, targets, smoothing, softcap);
                correct = result.Correct;
                foreach (var (value, loss) in result.Values.Zip(result.Losses.ToFloats())) Assert.Equal(value, loss, 1e-5);
                if (smoothing == 0) Assert.Equal(result.Values, result.NegativeLogLikelihoods);
                return result.Losses;
            },
            x => [.. Enumerable.Range(0, rows).Select(t =>
            {
                var logits = Logits(x[0], Head(x), t).Select(logit => softcap > 0 ? softcap * Math.Tanh(logit / softcap) : logit).ToArray();
                return Math.Log(logits.Sum(Math.Exp)) - (1 - smoothing) * logits[targets[t]] - smoothing * logits.Average();
            })], type);
        output.WriteLine($"head {level} {type}: loss {worstOutput:E1}, gradient {worstGradient:E1}");
        var exact = trained && (type == TensorType.Float32 || level != "libtorch");      // whose products of bf16 give logits of bf16
        Assert.True(worstOutput < (exact ? 1e-4 : Tolerance(type)) && worstGradient < Tolerance(type));
        Assert.InRange(correct, 1, rows / 2);

        static double[] Logits(double[] h, double[] w, int t) =>
            [.. Enumerable.Range(0, vocabulary).Select(v => Enumerable.Range(0, hidden).Sum(i => h[t * hidden + i] * w[v * hidden + i]))];
    }

    [Theory, MemberData(nameof(Levels))]
    public void AdamW_AgreesWithFormula(string level, TensorType type)
    {
        if (type != TensorType.Float32 || !Use(level, type)) return;
        const double rate = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0.1, scale = 0.5;
        const int count = 21;
        var random = new Random(11);
        using var scope = new TensorScope();
        var expected = Enumerable.Range(0, count).Select(_ => random.NextDouble()).ToArray();
        var parameter = Tensor.From([.. expected.Select(value => (float)value)], count);
        var (mean, square) = (Tensor.Zeros(TensorType.Float32, count), Tensor.Zeros(TensorType.Float32, count));
        var (m, v) = (new double[count], new double[count]);
        for (var step = 1; step <= 3; step++)
        {
            var gradient = Enumerable.Range(0, count).Select(_ => random.NextDouble() - 0.5).ToArray();
            FusedOperators.AdamW(parameter, Tensor.From([.. gradient.Select(value => (float)value)], count), mean, square, rate, beta1, beta2, epsilon, decay, scale, step);
            for (var i = 0; i < count; i++)
            {
                var g = gradient[i] * scale;
                m[i] = beta1 * m[i] + (1 - beta1) * g;
                v[i] = beta2 * v[i] + (1 - beta2) * g * g;
                expected[i] = expected[i] * (1 - rate * decay) - rate * (m[i] / (1 - Math.Pow(beta1, step))) / (Math.Sqrt(v[i] / (1 - Math.Pow(beta2, step))) + epsilon);
            }
        }
        Assert.True(GradientCheck.Distance(expected, parameter.ToFloats()) < 1e-6);
    }

    [Fact]
    public void NativeFault_BecomesAnExceptionWithItsReason()
    {
        using var scope = new TensorScope();
        var x = Tensor.From(new float[6], 2, 3);
        var e = Assert.Throws<TorchException>(() => Operators.MatrixProduct(x, x));
        Assert.Contains("mat1 and mat2", e.Message, StringComparison.Ordinal);
        Assert.Throws<TorchException>(() => FusedOperators.Attention(x, 2, 2, [0, 1], default, null));
        Assert.Throws<TorchException>(() => Operators.Call("aten::no_such_operator", "", x));
    }

    private static Func<Random, GradientCheck.Input> Inputs(double spread, params long[] shape) => random => GradientCheck.Random(random, spread, shape);

    private void Check(string level, TensorType type, Func<Random, GradientCheck.Input>[] inputs, Func<Tensor[], Tensor> op, Func<double[][], double[]> slow)
    {
        if (!Use(level, type)) return;
        var random = new Random(1);
        var (worstOutput, worstGradient) = GradientCheck.Worst(random, [.. inputs.Select(make => make(random))], op, slow, type);
        output.WriteLine($"{level} {type}: output {worstOutput:E1}, gradient {worstGradient:E1}");
        Assert.True(worstOutput < Tolerance(type) && worstGradient < Tolerance(type));
    }

    /// <summary>fp32 carries 24 bits, bf16 8, and central differences are good to about 1e-6.</summary>
    private static double Tolerance(TensorType type) => type == TensorType.Float32 ? 1e-5 : 2e-2;

    private static bool Use(string level, TensorType type)
    {
        if (type == TensorType.BFloat16 && !TorchRuntime.Describe().HasBFloat16) Assert.Skip("bfloat16 products need AVX-512");
        if (!TorchRuntime.UseKernels(level)) Assert.Skip($"this processor has no {level}");
        return true;
    }

    private static IEnumerable<double> Normed(double[] row, double[] weight)
    {
        var rstd = 1 / Math.Sqrt(row.Average(value => value * value) + Epsilon);
        return row.Zip(weight, (value, w) => value * rstd * w);
    }

    private static (float[] Cosine, float[] Sine) Rotations(int positions, int pairs)
    {
        var angles = Enumerable.Range(0, positions).SelectMany(position => Enumerable.Range(0, pairs).Select(pair => position / (1.0 + 3 * pair))).ToArray();
        return ([.. angles.Select(angle => (float)Math.Cos(angle))], [.. angles.Select(angle => (float)Math.Sin(angle))]);
    }

    private static double[] SlowAttention(double[] qkv, int heads, int kvHeads, int d, long[] starts, AttentionScores scores, float[] cosine, float[] sine, int pairs)
    {
        var width = (heads + 2 * kvHeads) * d;
        var result = new double[qkv.Length / width * heads * d];
        double[] Head(long row, int head, long position) => Rotated(qkv.AsSpan((int)(row * width + head * d), d).ToArray(), position);
        double[] Rotated(double[] x, long position) => [.. x.Select((value, i) =>
            i < pairs ? value * cosine[position * pairs + i] - x[i + pairs] * sine[position * pairs + i]
            : i < 2 * pairs ? value * cosine[position * pairs + i - pairs] + x[i - pairs] * sine[position * pairs + i - pairs]
            : value)];
        for (var segment = 0; segment + 1 < starts.Length; segment++)
            for (var q = starts[segment]; q < starts[segment + 1]; q++)
                for (var head = 0; head < heads; head++)
                {
                    var kv = head / (heads / kvHeads);
                    var query = Head(q, head, q - starts[segment]);
                    var first = scores.Window > 0 ? Math.Max(starts[segment], q - scores.Window + 1) : starts[segment];
                    var row = new List<double>();
                    for (var k = first; k <= q; k++)
                    {
                        var score = query.Zip(Head(k, heads + kv, k - starts[segment]), (a, b) => a * b).Sum() * scores.Scale;
                        row.Add(scores.Softcap > 0 ? scores.Softcap * Math.Tanh(score / scores.Softcap) : score);
                    }
                    var total = row.Sum(Math.Exp);
                    for (var i = 0; i < d; i++)
                        for (var k = 0; k < row.Count; k++)
                            result[q * heads * d + head * d + i] += Math.Exp(row[k]) / total * qkv[(first + k) * width + (heads + kvHeads + kv) * d + i];
                }
        return result;
    }
}
