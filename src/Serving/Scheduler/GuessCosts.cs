namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How many guessed tokens pay: those with which a step gives the most expected tokens a second, by the times of the steps and by how often
/// guesses of that request were right. Should that deceive, guesses may lose no more than a small part of the time, beyond a few steps on credit.
/// </summary>
internal sealed class GuessCosts(int mostStepTokens)
{
    private const double ClearlyBetter = 1.05, MostLoss = 1.0 / 64, MostCredit = 8;

    private readonly StepTimes _times = new(mostStepTokens);
    private double _credit = MostCredit;                       // in steps without guesses
    private int _tokens;
    private double _expected;

    /// <summary>A step is planned, in which so many answers go on.</summary>
    /// <returns>Whether to guess in it.</returns>
    public bool Begin(int answers)
    {
        (_tokens, _expected) = (answers, answers);
        return _credit >= 0;
    }

    /// <summary>How many of the guessed tokens of a request to add to the step.</summary>
    /// <param name="acceptance">The probability that one is right if those before it are.</param>
    public int Choose(int found, double acceptance)
    {
        var (best, bestExpected, bestRate) = (0, _expected, ClearlyBetter * _expected / _times.Of(_tokens));
        var (expected, reached) = (_expected, 1.0);
        for (var count = 1; count <= found; count++)
        {
            reached *= acceptance;
            expected += reached;
            var rate = expected / _times.Of(_tokens + count);
            if (rate > bestRate) (best, bestExpected, bestRate) = (count, expected, rate);
        }
        (_tokens, _expected) = (_tokens + best, bestExpected);
        return best;
    }

    /// <summary>A step of so many tokens, all of answers, was computed; so many of the guessed ones were right.</summary>
    public void Observe(int answers, int tokens, int right, TimeSpan taken)
    {
        if (tokens == 0 || tokens > mostStepTokens) return;
        var steps = tokens > answers ? taken.TotalSeconds / _times.Of(answers) : 1;
        _credit = Math.Min(MostCredit, _credit + 1 + right / (double)answers - steps + MostLoss * steps);
        _times.Observe(tokens, taken.TotalSeconds);
        if (tokens == answers) _times.ForgetLonger(answers);
    }
}
