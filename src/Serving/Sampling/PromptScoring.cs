using System.Numerics.Tensors;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Sampling;

/// <summary>Log-probabilities that a model gives to a sequence's own tokens, and its logits after the last one.</summary>
public sealed record Scores(double[] NextTokenLogprob, float[] LastLogits);

/// <summary>Scores given tokens: nothing is sampled.</summary>
public sealed class PromptScoring(int[] ids) : ILogitsConsumer
{
    private readonly double[] _logprobs = new double[ids.Length - 1];
    private readonly TaskCompletionSource<Scores> _scores = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private float[] _last = [];

    public bool WantsEveryPosition => true;

    /// <exception cref="RefusedException">The engine failed or was stopped.</exception>
    public Task<Scores> Scores => _scores.Task;

    public Decision OnLogits(int position, ReadOnlySpan<float> logits)
    {
        if (position < ids.Length - 1) _logprobs[position] = LogProbability(logits, ids[position + 1]);
        else _last = logits.ToArray();
        return Decision.End();
    }

    public void OnEnded(EndReason reason, Error? error)
    {
        if (reason == EndReason.Stop) _scores.SetResult(new Scores(_logprobs, _last));
        else if (error is null) _scores.SetCanceled();
        else _scores.SetException(new RefusedException(error));
    }

    public static double LogProbability(ReadOnlySpan<float> logits, int token) => logits[token] - LogOfSum(logits);

    /// <summary>What is taken off a logit to make it a log-probability.</summary>
    public static double LogOfSum(ReadOnlySpan<float> logits)
    {
        var max = TensorPrimitives.Max(logits);
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp(logit - max);
        return max + Math.Log(sum);
    }
}
