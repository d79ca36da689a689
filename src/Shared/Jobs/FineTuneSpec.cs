using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Jobs;

/// <summary>
/// What the trainer is asked to do: written once by Web (or a person), never changed. Field names are a contract
/// (snake_case in JSON); only model, output and data are required. Units: tokens, examples, steps, seconds.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record FineTuneSpec
{
    public int Version { get; init; } = 1;

    /// <summary>A path (GGUF), or an object {"random":{architecture fields},"tokenizer":path,"seed"} to train from scratch.</summary>
    public required JsonNode Model { get; init; }
    public required string Output { get; init; }
    public TrainingMethod Method { get; init; } = TrainingMethod.Sft;
    public AdapterSpec Adapter { get; init; } = new();
    public required IReadOnlyList<DataSpec> Data { get; init; }
    public ValidationSpec? Validation { get; init; }
    public int? MaxLength { get; init; }

    /// <summary>What happens to longer examples: truncate, drop or split. Default truncate, for pre-training split. Pairs are never split but truncated.</summary>
    public Overflow? Overflow { get; init; }

    /// <summary>Which answers of a conversation are learned; <c>"weight": 0</c> on a message leaves it out in either case.</summary>
    public LearnedTurns TrainOn { get; init; } = LearnedTurns.All;

    /// <summary>NEFTune: noise on the embeddings, uniform in ±alpha/√(tokens of the example · hidden size). Usual are 5 to 15; 0 = none.</summary>
    public double NeftuneAlpha { get; init; }

    /// <summary>Layers keep only their inputs for the gradient and are computed again: less memory for long rows, about a third more time.</summary>
    public bool ActivationCheckpointing { get; init; }
    public bool Packing { get; init; } = true;
    public bool Shuffle { get; init; } = true;
    public int BatchSize { get; init; } = 8;
    public int Accumulation { get; init; } = 2;
    public double? Epochs { get; init; }
    public int? MaxSteps { get; init; }
    public OptimizerSpec Optimizer { get; init; } = new();
    public ScheduleSpec Schedule { get; init; } = new();
    public double Clip { get; init; } = 1;

    /// <summary>DPO: how strongly the policy is held to the reference, which is the model that the run starts from.</summary>
    public double Beta { get; init; } = 0.1;

    /// <summary>0…1. Of a target's probability, what is spread over the whole vocabulary; for DPO, how probably a pair is the wrong way round.</summary>
    public double LabelSmoothing { get; init; }
    public NumberFormat Dtype { get; init; } = NumberFormat.Auto;
    public string Device { get; init; } = "auto";
    public int? Threads { get; init; }
    public long Seed { get; init; } = 42;
    public CheckpointSpec Checkpoint { get; init; } = new();

    /// <summary>Optimizer steps between two evaluations (validation loss and sample answers); without it they happen before and after training.</summary>
    public int? EvaluateEvery { get; init; }

    /// <summary>Export the weights with the lowest validation loss instead of the last ones.</summary>
    public bool KeepBest { get; init; }

    /// <summary>End when the validation loss no longer falls; the best weights are exported then.</summary>
    public EarlyStoppingSpec? EarlyStopping { get; init; }
    public IReadOnlyList<string> Samples { get; init; } = [];

    /// <summary>peft, gguf-lora, merged. Default the first two; peft and merged where no GGUF adapter can hold the result (DoRA, modules_to_save); merged where all weights are trained.</summary>
    public IReadOnlyList<string>? Export { get; init; }

    private static readonly JsonSerializerOptions Strict = StrictOptions();

    private static JsonSerializerOptions StrictOptions()
    {
        var options = new JsonSerializerOptions(Json.Options) { AllowDuplicateProperties = false, RespectNullableAnnotations = true };
        options.Converters.Insert(0, new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false));       // a number is no choice
        return options;
    }

    /// <summary>Reads a spec; every mistake is a <see cref="RefusedException"/> that names the field.</summary>
    public static FineTuneSpec Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<FineTuneSpec>(json, Strict) ?? throw new JsonException("null is no specification");
        }
        catch (JsonException e)
        {
            throw new RefusedException(new Error("bad-spec", SpecMistake.Describe(json, e), "correct the field of the specification"), e);
        }
    }
}

public enum TrainingMethod { Sft, Pretrain, Dpo }

public enum Overflow { Truncate, Drop, Split }

/// <summary>All of the assistant's messages, or the last one.</summary>
public enum LearnedTurns { All, Last }

/// <summary>Number format of the weights and products; <c>Auto</c> is bfloat16 where the hardware multiplies it fast.</summary>
public enum NumberFormat
{
    Auto,
    [JsonStringEnumMemberName("float32")] Float32,
    [JsonStringEnumMemberName("bfloat16")] BFloat16,
}

/// <summary>
/// <c>Type</c>: lora, rslora (scale alpha/√rank), dora (directions and lengths of rows apart), qlora (lora on weights
/// that stay quantised as the file has them) or none (all weights). Modules are named
/// as peft does: by the end of their names (q_proj), whole (model.layers.0.mlp.up_proj) or by a regular expression for either.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record AdapterSpec
{
    public string Type { get; init; } = "lora";
    public int Rank { get; init; } = 16;
    public double Alpha { get; init; } = 32;
    public double Dropout { get; init; }

    /// <summary>"all-linear" (the default), a module name or pattern, or a list of them.</summary>
    public JsonNode? Targets { get; init; }

    /// <summary>Ranks of their own, by module; the first that matches counts.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alphas of their own, by module.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Modules trained whole beside the adapters and exported with them: embed_tokens, lm_head, norms.</summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>A PEFT folder to continue from: its kind, ranks, alphas and modules are kept, whatever the other fields say; dropout is this specification's.</summary>
    public string? Init { get; init; }
}

/// <summary>
/// <c>Format</c>: auto, one of those that <c>./run validate</c> knows (messages, alpaca, sharegpt, preference, text, csv …), or tokens for
/// rows of {"ids","labels"} taken as they are. <c>Weight</c>: how often an epoch visits each row; 2 is twice, 0.3 draws three tenths anew each time.
/// </summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record DataSpec
{
    public required string Path { get; init; }
    public string Format { get; init; } = "auto";
    public double Weight { get; init; } = 1;

    /// <summary>Of a table: role (user, assistant, system) → column; guessed from the usual names when absent.</summary>
    public IReadOnlyDictionary<string, string>? Map { get; init; }
}

/// <summary>Either a file or a fraction of the data, split by hash of the row.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ValidationSpec
{
    public string? Path { get; init; }
    public double? Fraction { get; init; }
}

/// <summary>Stop after <c>Patience</c> evaluations in a row whose loss is not lower than the lowest by more than <c>MinDelta</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record EarlyStoppingSpec
{
    public int Patience { get; init; } = 3;
    public double MinDelta { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record OptimizerSpec
{
    /// <summary>adamw, or adamw8bit whose state takes a quarter of the memory (worth it where all weights are trained).</summary>
    public string Name { get; init; } = "adamw";

    /// <summary>Default 1e-4 for adapters, 1e-5 for all weights.</summary>
    public double? LearningRate { get; init; }
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.999];
    public double Epsilon { get; init; } = 1e-8;
    public double WeightDecay { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record ScheduleSpec
{
    /// <summary>constant, linear or cosine.</summary>
    public string Name { get; init; } = "cosine";
    public int? WarmupSteps { get; init; }
    public double? WarmupRatio { get; init; }
}

[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CheckpointSpec
{
    public int? EverySteps { get; init; }
    public double? EverySeconds { get; init; }
    public int Keep { get; init; } = 3;
}
