using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>A low-rank pair on rows [First, First + Rows) of a layer's output: + Scale·(x·Aᵀ)·Bᵀ. A (rank, inputs), B (rows, rank), fp32.</summary>
public readonly record struct LowRankPart(Tensor A, Tensor B, long First, long Rows, float Scale);

/// <summary>
/// Cosines and sines (positions, rotated/2) of the rotary embedding. Where it has <paramref name="Long"/> tables (LongRoPE),
/// segments of more than <paramref name="ShortPositions"/> tokens turn by those.
/// </summary>
public sealed record RotaryTable(Tensor Cosine, Tensor Sine, RotaryTable? Long = null, long ShortPositions = 0) : IDisposable
{
    public void Dispose()
    {
        Cosine.Dispose();
        Sine.Dispose();
        Long?.Dispose();
    }
}

/// <summary>How scores are made of queries and keys: their factor, a soft cap (0 = none), and how many keys a query sees, its own included (0 = all before it).</summary>
public readonly record struct AttentionScores(float Scale, float Softcap = 0, int Window = 0)
{
    /// <summary>1/√headDim, no cap, no window.</summary>
    public static AttentionScores Plain(int headDim) => new(1 / MathF.Sqrt(headDim));
}

/// <summary>What the gate of a feed-forward layer goes through: x·σ(x), or GELU in its tanh form.</summary>
public enum GateActivation { Silu = 0, GeluTanh = 1 }

/// <summary>
/// Losses of supervised tokens: as a tensor (n) to go backward from, as numbers, without label smoothing (−log p), and how many targets had the greatest logit.
/// </summary>
public sealed record TokenLosses(Tensor Losses, double[] Values, double[] NegativeLogLikelihoods, int Correct);

/// <summary>
/// A transformer's layers as single autograd operators over our own kernels. The residual stream is fp32; everything else
/// has the model's format (fp32 or bf16). T is the number of tokens of a batch, all segments behind each other.
/// </summary>
public static unsafe class FusedOperators
{
    /// <summary>x (T, hidden) → its norm (T, hidden) in <paramref name="type"/>.</summary>
    public static Tensor RmsNorm(Tensor x, Tensor weight, float epsilon, TensorType type)
    {
        Check(tm_rms_norm(x.Handle, 0, weight.Handle, epsilon, (int)type, out var sum, out var output));
        sum.Dispose();
        return new Tensor(output);
    }

    /// <summary>x + delta, and its norm.</summary>
    public static (Tensor Sum, Tensor Normed) AddRmsNorm(Tensor x, Tensor delta, Tensor weight, float epsilon)
    {
        Check(tm_rms_norm(x.Handle, Tensor.OrNull(delta), weight.Handle, epsilon, 0, out var sum, out var output));
        GC.KeepAlive(delta);
        return (new Tensor(sum), new Tensor(output));
    }

    /// <summary>Norm of each query and key head of qkv (T, (heads + 2·kvHeads)·headDim).</summary>
    public static Tensor HeadNorm(Tensor qkv, Tensor queryWeight, Tensor keyWeight, int heads, int kvHeads, float epsilon)
    {
        Check(tm_head_norm(qkv.Handle, queryWeight.Handle, keyWeight.Handle, heads, kvHeads, epsilon, out var output));
        return new Tensor(output);
    }

    /// <summary>x (T, inputs) → x·Wᵀ + bias (T, outputs), adapters added. <paramref name="master"/> receives the weight's gradient where all weights are trained.</summary>
    public static Tensor Linear(Tensor x, LinearWeight weight, Tensor? master, Tensor? bias, ReadOnlySpan<LowRankPart> adapters, double dropout, ulong seed)
    {
        var parts = stackalloc LoraPart[adapters.Length];
        for (var i = 0; i < adapters.Length; i++)
            parts[i] = new() { A = Tensor.OrNull(adapters[i].A), B = Tensor.OrNull(adapters[i].B), First = adapters[i].First, Rows = adapters[i].Rows, Scale = adapters[i].Scale };
        Check(tm_linear(x.Handle, weight.Handle, Tensor.OrNull(master), Tensor.OrNull(bias), parts, adapters.Length, (float)dropout, seed, out var output));
        GC.KeepAlive(master);
        GC.KeepAlive(bias);
        foreach (var adapter in adapters) GC.KeepAlive(adapter.A);
        return new Tensor(output);
    }

    /// <summary>x (T, outputs) → x·factor + bias, a factor (outputs) and a bias for each output.</summary>
    public static Tensor ScaleOutputs(Tensor x, Tensor factor, Tensor? bias)
    {
        Check(tm_scale_outputs(x.Handle, factor.Handle, Tensor.OrNull(bias), out var output));
        GC.KeepAlive(bias);
        return new Tensor(output);
    }

    /// <summary>activation(gate)·up: (T, 2·width) → (T, width).</summary>
    public static Tensor GatedUnit(Tensor gateUp, GateActivation activation)
    {
        Check(tm_gated_unit(gateUp.Handle, (int)activation, out var output));
        return new Tensor(output);
    }

    /// <summary>Causal attention inside each segment; positions restart at each of <paramref name="segmentStarts"/> (segments + 1, cumulative). Without a table nothing is rotated.</summary>
    public static Tensor Attention(Tensor qkv, int heads, int kvHeads, ReadOnlySpan<long> segmentStarts, AttentionScores scores, RotaryTable? rotary)
    {
        fixed (long* starts = segmentStarts)
        {
            Check(tm_attention(qkv.Handle, heads, kvHeads, starts, segmentStarts.Length - 1, Options(scores, rotary), out var output));
            GC.KeepAlive(rotary);
            return new Tensor(output);
        }
    }

    /// <summary>The tokens of one sequence that follow <paramref name="past"/> others whose keys and values are in the cache (capacity, 2·kvHeads·headDim); theirs are added. No gradient.</summary>
    public static Tensor CachedAttention(Tensor qkv, int heads, int kvHeads, Tensor cache, long past, AttentionScores scores, RotaryTable? rotary)
    {
        Check(tm_attention_cached(qkv.Handle, heads, kvHeads, cache.Handle, past, Options(scores, rotary), out var output));
        GC.KeepAlive(rotary);
        return new Tensor(output);
    }

    private static AttentionOptions Options(AttentionScores scores, RotaryTable? rotary) => new()
    {
        Scale = scores.Scale,
        Softcap = scores.Softcap,
        Window = scores.Window,
        Cosine = Tensor.OrNull(rotary?.Cosine),
        Sine = Tensor.OrNull(rotary?.Sine),
        LongCosine = Tensor.OrNull(rotary?.Long?.Cosine),
        LongSine = Tensor.OrNull(rotary?.Long?.Sine),
        ShortPositions = rotary?.ShortPositions ?? 0,
    };

    /// <summary>The cross-entropy of each row of hidden (n, hidden) with its target, of which <paramref name="smoothing"/> is spread over the whole vocabulary; logits are capped at ±softcap where that is above 0.</summary>
    public static TokenLosses HeadLoss(Tensor hidden, LinearWeight head, Tensor? master, ReadOnlySpan<long> targets, double smoothing, float softcap = 0)
    {
        var (values, likelihoods, correct) = (new double[targets.Length], new double[targets.Length], new byte[targets.Length]);
        fixed (long* wanted = targets)
        fixed (double* losses = values, negatives = likelihoods)
        fixed (byte* hits = correct)
        {
            Check(tm_head_loss(hidden.Handle, head.Handle, Tensor.OrNull(master), wanted, (float)smoothing, softcap, out var made, losses, negatives, hits));
            GC.KeepAlive(master);
            return new TokenLosses(new Tensor(made), values, likelihoods, correct.Sum(hit => hit));
        }
    }

    /// <summary>hidden (n, hidden) → logits (n, vocabulary), fp32. No gradient.</summary>
    public static Tensor Logits(Tensor hidden, LinearWeight head, float softcap = 0)
    {
        Check(tm_logits(hidden.Handle, head.Handle, softcap, out var output));
        return new Tensor(output);
    }

    public static double SumOfSquares(Tensor values)
    {
        Check(tm_sum_of_squares(values.Handle, out var sum));
        return sum;
    }

    public static void AdamW(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double gradientScale, long step) =>
        Check(tm_adamw(parameter.Handle, gradient.Handle, mean.Handle, square.Handle, learningRate, beta1, beta2, epsilon, weightDecay, gradientScale, step));

    /// <summary>The same with moments of a byte an element, rounded by numbers that follow from <paramref name="seed"/>.</summary>
    public static void AdamW8Bit(Tensor parameter, Tensor gradient, Tensor mean, Tensor meanScale, Tensor root, Tensor rootScale, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double gradientScale, long step, ulong seed) =>
        Check(tm_adamw8bit(parameter.Handle, gradient.Handle, mean.Handle, meanScale.Handle, root.Handle, rootScale.Handle, learningRate, beta1, beta2, epsilon, weightDecay, gradientScale, step, seed));
}
