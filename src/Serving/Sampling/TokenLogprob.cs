namespace TokenMill.Serving.Sampling;

/// <summary>
/// A sampled token with the log-probability that the model gave it, before temperature, penalties and filters, so that it does not
/// depend on how the answer was sampled; and the likeliest tokens in its place, likeliest first.
/// </summary>
public sealed record TokenLogprob(int Token, double Logprob, IReadOnlyList<(int Token, double Logprob)> Top)
{
    public static TokenLogprob Of(ReadOnlySpan<float> logits, int token, int topCount)
    {
        var normaliser = PromptScoring.LogOfSum(logits);
        var top = new List<(int Token, double Logprob)>(topCount + 1);
        for (var id = 0; topCount > 0 && id < logits.Length; id++)
        {
            var logprob = logits[id] - normaliser;
            if (top.Count == topCount && logprob <= top[^1].Logprob) continue;
            top.Insert(top.FindLastIndex(t => t.Logprob >= logprob) + 1, (id, logprob));
            if (top.Count > topCount) top.RemoveAt(topCount);
        }
        return new TokenLogprob(token, logits[token] - normaliser, top);
    }
}
