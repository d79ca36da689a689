using TokenMill.Serving.Llama;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.CommandLine;

namespace TokenMill.Serving.Host;

/// <summary>What <c>serve</c> was told.</summary>
internal sealed record ServeOptions
{
    public required string ModelPath { get; init; }
    public IReadOnlyList<NamedAdapter> Adapters { get; init; } = [];
    public string Host { get; init; } = "127.0.0.1";
    public int Port { get; init; } = 8080;
    public LlamaExecutorOptions Executor { get; init; } = new();

    /// <summary>Requests that may wait; more are refused with 429.</summary>
    public int MaxWaiting { get; init; } = new SchedulerOptions().MaxWaiting;

    /// <summary>Answer tokens of a step up to which guesses are tried; 0: never.</summary>
    public int GuessedStepTokens { get; init; } = new SchedulerOptions().GuessedStepTokens;

    /// <summary>A smaller model of the same vocabulary that guesses the answer's next tokens.</summary>
    public string? DraftPath { get; init; }

    /// <summary>The type of weights is chosen by measurement on this machine, instead of taken as the file has it.</summary>
    public bool ChoosesType { get; init; }

    /// <summary>How long a prompt may hold up answers that go on.</summary>
    public TimeSpan LongestGap { get; init; } = new SchedulerOptions().LongestGap;

    /// <summary>What every request must bring as its bearer token; null: anyone may ask.</summary>
    public string? Secret { get; init; }

    /// <summary>stdin is the parent's pipe: its end is the order to stop.</summary>
    public bool ParentPipe { get; init; }

    public const string SecretVariable = "TOKENMILL_SECRET";

    public static ServeOptions Parse(Arguments arguments)
    {
        var executor = new LlamaExecutorOptions
        {
            ContextTokens = Positive(arguments, "--context"),
            MaxRunning = Positive(arguments, "--parallel") ?? new LlamaExecutorOptions().MaxRunning,
            MaxAdapters = Positive(arguments, "--max-adapters") ?? new LlamaExecutorOptions().MaxAdapters,
            Threads = Positive(arguments, "--threads") ?? Environment.ProcessorCount,
            KeyValueType = arguments.Option("--kv-type") is { } type ? KeyValueTypes.Parse(type) : null,
        };
        if (executor.MaxRunning > LlamaExecutorOptions.MostRunning) throw new UsageException($"--parallel is at most {LlamaExecutorOptions.MostRunning}");
        var options = new ServeOptions
        {
            Adapters = [.. arguments.Options("--adapter").Select(NamedAdapter.Parse)],
            Host = arguments.Option("--host") ?? "127.0.0.1",
            Port = arguments.Int("--port") ?? 8080,
            Secret = arguments.Option("--api-key") ?? Environment.GetEnvironmentVariable(SecretVariable) switch { "" => null, var secret => secret },
            MaxWaiting = Positive(arguments, "--queue") ?? new SchedulerOptions().MaxWaiting,
            GuessedStepTokens = AtLeast(0, arguments, "--lookup") ?? new SchedulerOptions().GuessedStepTokens,
            ChoosesType = arguments.Option("--type") switch { null => false, "auto" => true, var other => throw new UsageException($"--type is auto, not '{other}'; quantize makes a file of another type") },
            DraftPath = arguments.Option("--draft"),
            LongestGap = Positive(arguments, "--gap-ms") is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : new SchedulerOptions().LongestGap,
            ParentPipe = arguments.Flag("--parent-pipe"),
            Executor = executor,
            ModelPath = arguments.Positional("MODEL"),
        };
        if (options.Port is < 0 or > 65_535) throw new UsageException($"--port is 0 to 65535, not {options.Port}");
        if (options.Adapters.GroupBy(a => a.Name).FirstOrDefault(g => g.Count() > 1) is { } twice) throw new UsageException($"two adapters are called '{twice.Key}'");
        arguments.End();
        return options;
    }

    private static int? Positive(Arguments arguments, string name) => AtLeast(1, arguments, name);

    private static int? AtLeast(int least, Arguments arguments, string name) =>
        arguments.Int(name) is not { } value ? null : value >= least ? value : throw new UsageException($"{name} is at least {least}, not {value}");
}
