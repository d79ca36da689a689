using TokenMill.Serving.Host;
using TokenMill.Serving.Sampling;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Quantization;

/// <summary>Tokens per second of one request alone: of a prompt read, and of an answer written.</summary>
internal sealed record EngineSpeed(double PromptTokensPerSecond, double TokensPerSecond)
{
    /// <summary>Others may use the machine too: the best trial is nearest to what the model can do.</summary>
    private const int Trials = 3;

    /// <summary>After which no other trial is begun: where one takes so long, its noise matters little.</summary>
    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(8);

    public static async Task<EngineSpeed> MeasureAsync(ServedModel model, int[] prompt, int answerTokens, CancellationToken cancellationToken)
    {
        var (read, written) = (TimeSpan.MaxValue, TimeSpan.MaxValue);
        var start = model.Time.GetTimestamp();
        for (var trial = 0; trial < Trials && (trial == 0 || model.Time.GetElapsedTime(start) < Enough); trial++)
        {
            var tenant = $"trial {trial}";                     // tenants share no prefix, so the prompt is computed anew
            read = Least(read, await TimeAsync(model, prompt, 1, tenant, cancellationToken));
            written = Least(written, await TimeAsync(model, prompt, answerTokens, tenant, cancellationToken));   // the prompt is cached now
        }
        return new EngineSpeed(prompt.Length / read.TotalSeconds, answerTokens / written.TotalSeconds);
    }

    private static TimeSpan Least(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static async Task<TimeSpan> TimeAsync(ServedModel model, int[] prompt, int tokens, string tenant, CancellationToken cancellationToken)
    {
        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { Sampling = SamplingOptions.Greedy, IgnoresEndOfTurn = true });
        var start = model.Time.GetTimestamp();
        using var running = model.Start(prompt, tokens, adapter: null, tenant, generation, cancellationToken);
        var end = await generation.Ended;
        var elapsed = model.Time.GetElapsedTime(start);
        cancellationToken.ThrowIfCancellationRequested();
        return end.Error is { } error ? throw new RefusedException(error) : elapsed;
    }
}
