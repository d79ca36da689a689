namespace TokenMill.Serving.LoadTest;

/// <summary>
/// What one client saw, in seconds since the test began. Waiting counts from the arrival, so a server that falls behind cannot hide it.
/// </summary>
/// <param name="Chunks">When each piece of the answer came.</param>
/// <param name="Failure">Null, or a short name of what went wrong: http-429, connection, timeout, stream-error, no-tokens.</param>
internal sealed record RequestTimes(double Arrival, IReadOnlyList<double> Chunks, double End, int PromptTokens, int OutputTokens, string? Failure)
{
    /// <summary>The answer.</summary>
    public string Text { get; init; } = "";

    /// <summary>Time to first token.</summary>
    public double Ttft => Chunks[0] - Arrival;

    public double EndToEnd => End - Arrival;

    /// <summary>Time per output token after the first; null for an answer of one.</summary>
    public double? Tpot => OutputTokens > 1 ? (EndToEnd - Ttft) / (OutputTokens - 1) : null;

    /// <summary>Gaps between the pieces.</summary>
    public IEnumerable<double> InterTokenLatencies => Chunks.Zip(Chunks.Skip(1), (a, b) => b - a);
}
