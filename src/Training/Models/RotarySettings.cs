using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Families;
using TokenMill.Shared.Formats.Gguf;

namespace TokenMill.Training.Models;

/// <summary>
/// Rotary position embedding (Su et al., 2021) of the first <paramref name="Dimensions"/> of each head: pair j turns by
/// base^(−2j/dimensions) per position, divided by its factor. Llama 3's, linear and YaRN scaling are such factors; LongRoPE
/// has two sets of them, of which longer sequences take the second.
/// </summary>
public sealed record RotarySettings(double Base, int Dimensions)
{
    /// <summary>One a pair; null: all 1.</summary>
    public float[]? Factors { get; init; }

    /// <summary>For sequences of more than <see cref="ShortPositions"/> tokens; null: the same.</summary>
    public float[]? LongFactors { get; init; }
    public int ShortPositions { get; init; }

    /// <summary>Cosines and sines are multiplied by this.</summary>
    public float Magnitude { get; init; } = 1;

    /// <summary>For layers with a window, where they have a base of their own, which is never scaled.</summary>
    public RotarySettings? InWindow { get; init; }

    internal static RotarySettings FromGguf(GgufFile file, ModelFamily family, int headDim)
    {
        var metadata = file.Metadata;
        var dimensions = (int)(metadata.TryUInt32(family.Key("rope.dimension_count")) ?? (uint)headDim);
        var settings = Scaled(file, family, new RotarySettings(metadata.TryFloat32(family.Key("rope.freq_base")) ?? 10000, dimensions));
        return family.Traits(metadata).WindowRopeBase is { } windowBase ? settings with { InWindow = new RotarySettings(windowBase, dimensions) } : settings;
    }

    private static RotarySettings Scaled(GgufFile file, ModelFamily family, RotarySettings plain)
    {
        var metadata = file.Metadata;
        var kind = metadata.TryString(family.Key("rope.scaling.type"));
        var factor = metadata.TryFloat32(family.Key("rope.scaling.factor")) ?? 1;
        var original = (int)(metadata.TryUInt32(family.Key("rope.scaling.original_context_length")) ?? metadata.UInt32(family.Key("context_length")));
        var attention = metadata.TryFloat32(family.Key("rope.scaling.attn_factor")) ?? 1;
        var pairs = plain.Dimensions / 2;
        if (file.Find("rope_factors_long.weight") is { } longTensor)
        {
            var shortTensor = file.Find("rope_factors_short.weight") ?? throw Unsupported("rope_factors_short.weight", "factors for long sequences alone");
            return plain with { Factors = Read(file, shortTensor, pairs), LongFactors = Read(file, longTensor, pairs), ShortPositions = original, Magnitude = attention };
        }
        var factors = kind switch
        {
            null or "none" => Enumerable.Repeat(1f, pairs).ToArray(),
            "linear" => [.. Enumerable.Repeat(factor, pairs)],
            "yarn" => Yarn(plain, factor, original, metadata.TryFloat32(family.Key("rope.scaling.yarn_beta_fast")) ?? 32, metadata.TryFloat32(family.Key("rope.scaling.yarn_beta_slow")) ?? 1),
            _ => throw Unsupported(family.Key("rope.scaling.type"), $"a rotary scaling of the kind '{kind}'"),
        };
        if (file.Find("rope_freqs.weight") is { } tensor)
            foreach (var (more, pair) in Read(file, tensor, pairs).Select((more, pair) => (more, pair))) factors[pair] *= more;
        return plain with
        {
            Factors = factors.All(f => f == 1) ? null : factors,
            Magnitude = kind == "yarn" && factor > 1 ? attention * (0.1f * MathF.Log(factor) + 1) : attention,
        };
    }

    // YaRN (Peng et al., 2023): pairs that turn often within the original context stay, those that turn less than once are divided.
    private static float[] Yarn(RotarySettings plain, float factor, int original, float fast, float slow)
    {
        double PairTurning(double times) => plain.Dimensions * Math.Log(original / (times * 2 * Math.PI)) / (2 * Math.Log(plain.Base));
        var low = Math.Max(0, Math.Floor(PairTurning(fast)));
        var high = Math.Min(plain.Dimensions - 1, Math.Ceiling(PairTurning(slow)));
        return [.. Enumerable.Range(0, plain.Dimensions / 2).Select(pair =>
        {
            var divided = Math.Clamp((pair - low) / Math.Max(0.001, high - low), 0, 1);
            return (float)(1 / (divided / factor + 1 - divided));
        })];
    }

    private static float[] Read(GgufFile file, GgufTensor tensor, int pairs)
    {
        if (tensor.Elements != pairs) throw Unsupported(tensor.Name, $"{tensor.Elements} rotary factors for {pairs} pairs");
        var values = new float[pairs];
        file.ReadFloats(tensor, values);
        return values;
    }

    private static RefusedException Unsupported(string field, string what) => new("model-not-trainable", $"{field}: {what} cannot be trained yet", "choose a dense decoder of a supported family");
}
