using TokenMill.Shared.CommandLine;

namespace TokenMill.Serving.Llama;

/// <summary>How keys and values are stored; the numbers are ggml's types.</summary>
internal enum KeyValueType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q8_0 = 8,
}

internal static class KeyValueTypes
{
    public static KeyValueType Parse(string text) => text.ToLowerInvariant() switch
    {
        "f32" => KeyValueType.F32,
        "f16" => KeyValueType.F16,
        "q8_0" => KeyValueType.Q8_0,
        "q4_0" => KeyValueType.Q4_0,
        _ => throw new UsageException($"--kv-type is f16, q8_0, q4_0 or f32, not '{text}'"),
    };

    public static double BytesPerNumber(this KeyValueType type) => type switch
    {
        KeyValueType.F32 => 4,
        KeyValueType.F16 => 2,
        KeyValueType.Q8_0 => 34.0 / 32,
        _ => 18.0 / 32,
    };
}
