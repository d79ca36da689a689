using System.Text.Json.Serialization;

namespace TokenMill.Shared.Formats;

/// <summary>What a model file, folder or adapter is: the record of <c>inspect --json</c>. What is unknown is null.</summary>
public sealed record ModelInspection
{
    /// <summary>gguf, hf, peft or safetensors.</summary>
    public required string Kind { get; init; }
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public string? Architecture { get; init; }

    /// <summary>Weights; tied ones once.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public long? Parameters { get; init; }

    /// <summary>Tensors of each element type.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public IReadOnlyDictionary<string, int>? Types { get; init; }
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public long? ContextLength { get; init; }

    /// <summary>Count of tokens.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public long? Vocabulary { get; init; }

    /// <summary>Whether there is one that works.</summary>
    public bool ChatTemplate { get; init; }
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] public string? Licence { get; init; }

    /// <summary>Rank and scale of an adapter.</summary>
    public int? Rank { get; init; }
    public double? Alpha { get; init; }
    public required Ability Trainable { get; init; }
    public required Ability Servable { get; init; }
    public required bool Accepted { get; init; }
    public IReadOnlyList<ModelFinding> Errors { get; init; } = [];
    public IReadOnlyList<ModelFinding> Warnings { get; init; } = [];
}
