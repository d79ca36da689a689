namespace TokenMill.Serving.Scheduler;

public sealed record SchedulerOptions
{
    /// <summary>Requests computed at once; more wait.</summary>
    public int MaxRunning { get; init; } = 16;

    /// <summary>Requests that may wait; more are refused with 429. Batch requests take no interactive one's place.</summary>
    public int MaxWaiting { get; init; } = 256;

    /// <summary>An interactive request that waits and got no further for so long goes before all others, one such request at a time.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The same for a batch request, and the time between two of them that go before others: all that batch work takes from interactive requests.</summary>
    public TimeSpan MaxBatchWait { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Tokens of a step, prompt and answer tokens together.</summary>
    public int StepTokens { get; init; } = 512;

    /// <summary>How long a step with prompt tokens may hold up the answers that also go on: their worst gap against the prompt's wait.</summary>
    public TimeSpan LongestGap { get; init; } = TimeSpan.FromSeconds(0.4);

    /// <summary>Prompt tokens of a step in which answers also go on, as long as none was timed (<see cref="PromptChunk"/>).</summary>
    public int PromptTokensBesideAnswers { get; init; } = 128;

    /// <summary>
    /// Guessed tokens are tried in a step as long as they pay (<see cref="GuessCosts"/>) and it has no more tokens of answers, guesses included,
    /// than this. 0: none are tried.
    /// </summary>
    public int GuessedStepTokens { get; init; } = 16;

    /// <summary>Tokens kept free for each running request when another is admitted, so that it is not preempted at once.</summary>
    public int ReservedTokensPerRequest { get; init; } = 32;

    /// <summary>A request waits for another that is computing a prefix of theirs at least this much longer than what is held already.</summary>
    public int SharedPrefixWorthWaiting { get; init; } = 32;
}
