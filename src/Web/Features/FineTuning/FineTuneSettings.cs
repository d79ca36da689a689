using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;

namespace TokenMill.Web.Features.FineTuning;

/// <summary>
/// What a person decides about a fine-tune; the defaults are those of SPEC.json. Everything else of the specification follows
/// from the dataset, the model and the run. Mutable, because a form edits it.
/// </summary>
public sealed class FineTuneSettings
{
    public const int MaxSamplePrompts = 5, MaxPromptLength = 4000;

    public TrainingMethod Method { get; set; } = TrainingMethod.Sft;

    /// <summary>AdapterSpec.Type: lora, rslora, dora, qlora, or none for all weights.</summary>
    public string Adapter { get; set; } = "lora";
    public bool HasAdapter => Adapter != "none";
    public int Rank { get; set; } = 16;
    public double Alpha { get; set; } = 32;
    public double Dropout { get; set; }
    public double Epochs { get; set; } = 3;

    /// <summary>Ends earlier than the epochs would.</summary>
    public int? MaxSteps { get; set; }
    public double LearningRate { get; set; } = 1e-4;
    public int BatchSize { get; set; } = 8;
    public int Accumulation { get; set; } = 2;

    /// <summary>Tokens; null: what the model and the trainer choose.</summary>
    public int? MaxLength { get; set; }

    public Overflow? Overflow { get; set; }
    public LearnedTurns TrainOn { get; set; } = LearnedTurns.All;
    public string Optimizer { get; set; } = "adamw";
    public string Schedule { get; set; } = "cosine";
    public double WeightDecay { get; set; }
    public double LabelSmoothing { get; set; }
    public double NeftuneAlpha { get; set; }

    /// <summary>Preferences: how strongly the model is held to where it started.</summary>
    public double Beta { get; set; } = 0.1;

    /// <summary>Evaluations without progress after which the run ends; null: it runs to its end.</summary>
    public int? Patience { get; set; }

    /// <summary>Share of the rows kept aside, chosen by hash, so the same rows each time.</summary>
    public double ValidationFraction { get; set; } = 0.1;
    public NumberFormat Precision { get; set; } = NumberFormat.Auto;
    public int CheckpointEverySeconds { get; set; } = 60;
    public long Seed { get; set; } = 42;

    /// <summary>Asked before and during training, to see what changes.</summary>
    public IReadOnlyList<string> SamplePrompts { get; set; } = [];

    /// <summary>Also write one GGUF with the adapter folded in, for use elsewhere.</summary>
    public bool Merge { get; set; }

    /// <summary>
    /// A rate for adapters that suits a model of this size, in one digit: small models need bolder corrections. Fitted by hand to
    /// 3e-3 at 5 million parameters, 7e-4 at 135 million and the usual 1e-4 at 8 billion.
    /// </summary>
    public static double SuggestedRate(long parameters)
    {
        var rate = Math.Clamp(1e-4 * Math.Pow(8e9 / Math.Max(1, parameters), 0.46), 1e-4, 3e-3);
        var digit = Math.Pow(10, Math.Floor(Math.Log10(rate)));
        return Math.Round(Math.Round(rate / digit) * digit, 8);
    }

    /// <summary>The same for this method and kind: all weights take a tenth of what adapters do, preferences a fifth of what answers do.</summary>
    public double SuggestRate(long parameters) => SuggestedRate(parameters) * (HasAdapter ? 1 : 0.1) * (Method == TrainingMethod.Dpo ? 0.2 : 1);

    /// <summary>Every mistake, by the name of the property it belongs to.</summary>
    public IReadOnlyList<(string Field, Error Error)> Check()
    {
        var mistakes = new List<(string, Error)>();
        Range(nameof(Rank), Rank, 1, 512);
        Range(nameof(Alpha), Alpha, 0.1, 4096);
        Range(nameof(Dropout), Dropout, 0, 0.9);
        Range(nameof(Epochs), Epochs, 0.01, 1000);
        if (MaxSteps is { } steps) Range(nameof(MaxSteps), steps, 1, 10_000_000);
        Range(nameof(LearningRate), LearningRate, 1e-8, 1);
        Range(nameof(WeightDecay), WeightDecay, 0, 1);
        Range(nameof(LabelSmoothing), LabelSmoothing, 0, 0.9);
        Range(nameof(NeftuneAlpha), NeftuneAlpha, 0, 1000);
        Range(nameof(Beta), Beta, 0.001, 100);
        if (Patience is { } patience) Range(nameof(Patience), patience, 1, 1000);
        Range(nameof(BatchSize), BatchSize, 1, 1024);
        Range(nameof(Accumulation), Accumulation, 1, 1024);
        if (MaxLength is { } length) Range(nameof(MaxLength), length, 8, 1_000_000);
        Range(nameof(ValidationFraction), ValidationFraction, 0, 0.9);
        Range(nameof(CheckpointEverySeconds), CheckpointEverySeconds, 1, 86_400);
        if (SamplePrompts.Count > MaxSamplePrompts) mistakes.Add((nameof(SamplePrompts), new Error("too-many-sample-prompts", $"There are {SamplePrompts.Count} sample prompts", $"keep at most {MaxSamplePrompts}")));
        if (SamplePrompts.Any(p => p.Length > MaxPromptLength)) mistakes.Add((nameof(SamplePrompts), new Error("sample-prompt-too-long", "A sample prompt is too long", $"keep each under {MaxPromptLength} characters")));
        return mistakes;

        void Range(string field, double value, double low, double high)
        {
            if (!(value >= low && value <= high)) mistakes.Add((field, new Error("setting-out-of-range", $"{value} is outside of {low} to {high}", $"choose a value from {low} to {high}")));
        }
    }

    /// <summary>Optimizer steps that <paramref name="goodRows"/> rows make.</summary>
    public int Steps(int goodRows)
    {
        var trained = goodRows - ValidationRows(goodRows);
        var steps = (int)Math.Min(int.MaxValue, Math.Ceiling(Epochs * Math.Ceiling(Math.Max(1, trained) / (double)(BatchSize * Accumulation))));
        return MaxSteps is { } max ? Math.Min(max, steps) : steps;
    }

    public int ValidationRows(int goodRows) => Validates(goodRows) ? (int)(goodRows * ValidationFraction) : 0;

    /// <param name="modelPath">Absolute, as all paths here.</param>
    /// <param name="dataPath">JSON Lines of good rows.</param>
    /// <param name="output">The trainer's own folder.</param>
    /// <param name="goodRows">Rows of the data.</param>
    public FineTuneSpec ToSpec(string modelPath, string dataPath, string output, int goodRows) => new()
    {
        Model = JsonValue.Create(modelPath),
        Output = output,
        Method = Method,
        Adapter = new AdapterSpec { Type = Adapter, Rank = Rank, Alpha = Alpha, Dropout = Dropout },
        Data = [new DataSpec { Path = dataPath }],
        Validation = Validates(goodRows) ? new ValidationSpec { Fraction = ValidationFraction } : null,
        MaxLength = MaxLength,
        Overflow = Overflow,
        TrainOn = TrainOn,
        LabelSmoothing = LabelSmoothing,
        NeftuneAlpha = NeftuneAlpha,
        Beta = Beta,
        EarlyStopping = Validates(goodRows) && Patience is { } patience ? new EarlyStoppingSpec { Patience = patience } : null,
        BatchSize = BatchSize,
        Accumulation = Accumulation,
        Epochs = MaxSteps is null ? Epochs : null,
        MaxSteps = MaxSteps is null ? null : Steps(goodRows),
        Optimizer = new OptimizerSpec { Name = Optimizer, LearningRate = LearningRate, WeightDecay = WeightDecay },
        Schedule = new ScheduleSpec { Name = Schedule, WarmupRatio = 0.05 },
        Dtype = Precision,
        Seed = Seed,
        Checkpoint = new CheckpointSpec { EverySeconds = CheckpointEverySeconds },
        EvaluateEvery = Validates(goodRows) || SamplePrompts.Count > 0 ? Math.Max(5, Steps(goodRows) / 8) : null,
        Samples = SamplePrompts,
        Export = Merge && Adapter is not ("none" or "dora") ? ["peft", "gguf-lora", "merged"] : null,
    };

    /// <summary>The settings of an earlier run, to start from.</summary>
    public static FineTuneSettings From(FineTuneSpec spec)
    {
        var settings = new FineTuneSettings
        {
            Method = spec.Method,
            Adapter = spec.Adapter.Type,
            Overflow = spec.Overflow,
            TrainOn = spec.TrainOn,
            Optimizer = spec.Optimizer.Name,
            Schedule = spec.Schedule.Name,
            WeightDecay = spec.Optimizer.WeightDecay,
            LabelSmoothing = spec.LabelSmoothing,
            NeftuneAlpha = spec.NeftuneAlpha,
            Beta = spec.Beta,
            Patience = spec.EarlyStopping?.Patience,
            Rank = spec.Adapter.Rank,
            Alpha = spec.Adapter.Alpha,
            Dropout = spec.Adapter.Dropout,
            MaxSteps = spec.MaxSteps,
            BatchSize = spec.BatchSize,
            Accumulation = spec.Accumulation,
            MaxLength = spec.MaxLength,
            ValidationFraction = spec.Validation?.Fraction ?? 0,
            Precision = spec.Dtype,
            Seed = spec.Seed,
            SamplePrompts = spec.Samples,
            Merge = (spec.Export ?? []).Contains("merged"),
        };
        settings.Epochs = spec.Epochs ?? settings.Epochs;
        settings.LearningRate = spec.Optimizer.LearningRate ?? settings.LearningRate;
        settings.CheckpointEverySeconds = (int)(spec.Checkpoint.EverySeconds ?? settings.CheckpointEverySeconds);
        return settings;
    }

    /// <summary>With fewer rows than this nothing is kept aside: a loss over one or two rows says nothing.</summary>
    private bool Validates(int goodRows) => ValidationFraction > 0 && goodRows * ValidationFraction >= 3;
}
