namespace TokenMill.Web.Features.Evaluation.Metrics;

/// <summary>How surprised a model is by given tokens, from their log-probabilities (natural logarithm).</summary>
public readonly record struct Perplexity(long Tokens, double MeanLogProbability)
{
    /// <summary>e to the mean surprise: 1 is certainty, the size of the vocabulary is guessing.</summary>
    public double Value => Math.Exp(-MeanLogProbability);

    public double BitsPerToken => -MeanLogProbability / Math.Log(2);

    /// <summary>Null when no token counts. Compensated summation (Neumaier), so that long texts lose no digits.</summary>
    public static Perplexity? Of(IEnumerable<double> logProbabilities)
    {
        double sum = 0, lost = 0;
        long count = 0;
        foreach (var value in logProbabilities)
        {
            if (double.IsNegativeInfinity(value)) sum = value;
            var next = sum + value;
            if (double.IsFinite(next)) lost += Math.Abs(sum) >= Math.Abs(value) ? sum - next + value : value - next + sum;
            sum = next;
            count++;
        }
        return count == 0 ? null : new Perplexity(count, double.IsFinite(sum) ? (sum + lost) / count : sum);
    }
}
