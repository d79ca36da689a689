namespace TokenMill.Serving.Scheduler;

/// <summary>
/// How many prompt tokens a step may have in which answers also go on: as many as this machine computes, at this length of the prompt,
/// before the pause in the answers gets too long. It follows the times of the steps.
/// </summary>
internal sealed class PromptChunk(SchedulerOptions options, int mostTokens)
{
    private const int LeastTokens = 16;                        // fewer would hardly save time: a step reads all weights anyway
    private const double FastestGrowth = 1.5;                  // one quick step proves little

    private double _tokens = options.PromptTokensBesideAnswers;

    public int Tokens => (int)_tokens;

    public void Observe(int promptTokens, TimeSpan taken)
    {
        var fitting = promptTokens * (options.LongestGap / taken);
        if (taken > options.LongestGap) _tokens = Math.Max(Math.Min(LeastTokens, _tokens), fitting);
        else if (promptTokens >= Tokens) _tokens = Math.Min(mostTokens, Math.Min(fitting, FastestGrowth * _tokens));
    }
}
