using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>adapter_config.json of a LoRA adapter, as peft writes it.</summary>
public sealed record PeftConfig
{
    public const string FileName = "adapter_config.json";
    private const string Unsupported = "supported are LoRA, rsLoRA and DoRA on linear layers; other methods can be merged into their base first";

    public required int Rank { get; init; }
    public required double Alpha { get; init; }

    public double Dropout { get; init; }

    /// <summary>rsLoRA: the scale is alpha/√r instead of alpha/r.</summary>
    public bool RankStabilised { get; init; }

    /// <summary>Weight-decomposed LoRA: can be merged, but no GGUF adapter can hold it.</summary>
    public bool Dora { get; init; }

    /// <summary>Last parts of module names; empty where the file has a pattern or "all-linear" instead of a list.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];
    /// <summary>Modules that were trained whole, by name or pattern.</summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>Trained embeddings that are the output layer too stay it; the file holds them twice then.</summary>
    public bool TiesEmbeddings { get; init; }
    public string? BaseName { get; init; }
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Rank of a module: that of the first pattern that matches it, else the general rank.</summary>
    public int RankOf(string module) => Match(RankPattern, module) is { } key ? RankPattern[key] : Rank;

    /// <summary>What B·A is multiplied with before it is added to the weights.</summary>
    public double ScaleOf(string module)
    {
        var alpha = Match(AlphaPattern, module) is { } key ? AlphaPattern[key] : Alpha;
        var rank = RankOf(module);
        return alpha / (RankStabilised ? Math.Sqrt(rank) : rank);
    }

    /// <exception cref="RefusedException">config-invalid, config-value, adapter-unsupported.</exception>
    public static PeftConfig Parse(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object) throw Refuse(FileName, "config-invalid", $"{FileName} is no object", "export the adapter again");
        var method = Text(json, "peft_type");
        if (method != "LORA") throw Refuse("peft_type", "adapter-unsupported", $"the method '{method}'", Unsupported);
        foreach (var name in (string[])["layer_replication", "trainable_token_indices", "target_parameters", "lora_bias", "fan_in_fan_out", "megatron_config"])
            if (json.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False) && !(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0))
                throw Refuse(name, "adapter-unsupported", $"{name} is set", Unsupported);
        if (Text(json, "bias") is not (null or "none")) throw Refuse("bias", "adapter-unsupported", "biases are trained as well", Unsupported);
        return new PeftConfig
        {
            Rank = (int)Number(json, "r", 1, 1 << 16),
            Alpha = Number(json, "lora_alpha", 0, 1 << 24),
            Dropout = json.TryGetProperty("lora_dropout", out var dropout) && dropout.ValueKind == JsonValueKind.Number ? dropout.GetDouble() : 0,
            RankStabilised = Flag(json, "use_rslora"),
            Dora = Flag(json, "use_dora"),
            Targets = ReadNames(json, "target_modules"),
            ModulesToSave = ReadNames(json, "modules_to_save"),
            TiesEmbeddings = Flag(json, "ensure_weight_tying"),
            BaseName = Text(json, "base_model_name_or_path"),
            RankPattern = Pattern(json, "rank_pattern").ToDictionary(p => p.Key, p => (int)p.Value),
            AlphaPattern = Pattern(json, "alpha_pattern").ToDictionary(),
        };
    }

    private static List<string> ReadNames(JsonElement json, string field)
    {
        if (!json.TryGetProperty(field, out var names) || names.ValueKind is JsonValueKind.Null or JsonValueKind.String) return [];
        if (names.ValueKind != JsonValueKind.Array || names.EnumerateArray().Any(t => t.ValueKind != JsonValueKind.String))
            throw Refuse(field, "config-value", $"{field} is no list of names", "export the adapter again");
        return [.. names.EnumerateArray().Select(t => t.GetString()!)];
    }

    private static IEnumerable<KeyValuePair<string, double>> Pattern(JsonElement json, string name) =>
        json.TryGetProperty(name, out var pattern) && pattern.ValueKind == JsonValueKind.Object
            ? pattern.EnumerateObject().Select(p => ModulePattern.IsValid(p.Name) ? KeyValuePair.Create(p.Name, Number(pattern, p.Name, 0, 1 << 24)) : throw Refuse(name, "config-value", $"'{p.Name}' is no pattern for modules", "export the adapter again"))
            : [];

    private static string? Match<T>(IReadOnlyDictionary<string, T> patterns, string module) => patterns.Keys.FirstOrDefault(pattern => ModulePattern.Matches(pattern, module));

    private static double Number(JsonElement json, string name, double least, double most) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= least && number <= most
            ? number : throw Refuse(name, "config-value", $"{name} is missing or no number from {least} to {most}", "export the adapter again");

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool Flag(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    private static RefusedException Refuse(string field, string code, string message, string remedy) => new(new Error(code, message, remedy) { Field = field });
}
