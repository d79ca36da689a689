using TokenMill.Training.Torch.Native;
using static TokenMill.Training.Torch.Native.TorchLibrary;

namespace TokenMill.Training.Torch;

/// <summary>A low-rank pair on rows [First, First + Rows) of a layer's output: + Scale·(x·Aᵀ)·Bᵀ. A (rank, inputs), B (rows, rank), fp32.</summary>
public readonly record struct LowRankPart(Tensor A, Tensor B, long First, long Rows, float Scale);

/// <summary>Cosines and sines (positions, headDim/2) of the rotary embedding.</summary>
public sealed record RotaryTable(Tensor Cosine, Tensor Sine) : IDisposable
{
    public void Dispose()
    {
        Cosine.Dispose();
        Sine.Dispose();
    }
}

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
    public static Tensor Linear(Tensor x, PackedWeight weight, Tensor? master, Tensor? bias, ReadOnlySpan<LowRankPart> adapters, double dropout, ulong seed)
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

    /// <summary>silu(gate)·up: (T, 2·width) → (T, width).</summary>
    public static Tensor SwiGlu(Tensor gateUp)
    {
        Check(tm_swiglu(gateUp.Handle, out var output));
        return new Tensor(output);
    }

    /// <summary>Causal attention inside each segment; positions restart at each of <paramref name="segmentStarts"/> (segments + 1, cumulative). Without a table nothing is rotated.</summary>
    public static Tensor Attention(Tensor qkv, int heads, int kvHeads, ReadOnlySpan<long> segmentStarts, RotaryTable? rotary)
    {
        fixed (long* starts = segmentStarts)
        {
            Check(tm_attention(qkv.Handle, heads, kvHeads, starts, segmentStarts.Length - 1, Tensor.OrNull(rotary?.Cosine), Tensor.OrNull(rotary?.Sine), out var output));
            GC.KeepAlive(rotary);
            return new Tensor(output);
        }
    }

    /// <summary>The tokens of one sequence that follow <paramref name="past"/> others whose keys and values are in the cache (capacity, 2·kvHeads·headDim); theirs are added. No gradient.</summary>
    public static Tensor CachedAttention(Tensor qkv, int heads, int kvHeads, Tensor cache, long past, RotaryTable? rotary)
    {
        Check(tm_attention_cached(qkv.Handle, heads, kvHeads, cache.Handle, past, Tensor.OrNull(rotary?.Cosine), Tensor.OrNull(rotary?.Sine), out var output));
        GC.KeepAlive(rotary);
        return new Tensor(output);
    }

    /// <summary>The cross-entropy of each row of hidden (n, hidden) with its target, of which <paramref name="smoothing"/> is spread over the whole vocabulary.</summary>
    public static TokenLosses HeadLoss(Tensor hidden, PackedWeight head, Tensor? master, ReadOnlySpan<long> targets, double smoothing)
    {
        var (values, likelihoods, correct) = (new double[targets.Length], new double[targets.Length], new byte[targets.Length]);
        fixed (long* wanted = targets)
        fixed (double* losses = values, negatives = likelihoods)
        fixed (byte* hits = correct)
        {
            Check(tm_head_loss(hidden.Handle, head.Handle, Tensor.OrNull(master), wanted, (float)smoothing, out var made, losses, negatives, hits));
            GC.KeepAlive(master);
            return new TokenLosses(new Tensor(made), values, likelihoods, correct.Sum(hit => hit));
        }
    }

    /// <summary>hidden (n, hidden) → logits (n, vocabulary), fp32. No gradient.</summary>
    public static Tensor Logits(Tensor hidden, PackedWeight head)
    {
        Check(tm_logits(hidden.Handle, head.Handle, out var output));
        return new Tensor(output);
    }

    public static double SumOfSquares(Tensor values)
    {
        Check(tm_sum_of_squares(values.Handle, out var sum));
        return sum;
    }

    public static void AdamW(Tensor parameter, Tensor gradient, Tensor mean, Tensor square, double learningRate, double beta1, double beta2, double epsilon, double weightDecay, double gradientScale, long step) =>
        Check(tm_adamw(parameter.Handle, gradient.Handle, mean.Handle, square.Handle, learningRate, beta1, beta2, epsilon, weightDecay, gradientScale, step));
}
