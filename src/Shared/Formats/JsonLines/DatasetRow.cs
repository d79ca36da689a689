using System.Text.Json.Nodes;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// A good row in its canonical form, whatever the file is written in: a conversation is {"messages","tools"}, a preference
/// {"prompt","chosen","rejected"}, plain text {"text"}. <see cref="Utf8"/> is valid until the next row is asked for.
/// </summary>
public readonly record struct DatasetRow(long Row, long Record, ulong Hash, ReadOnlyMemory<byte> Utf8)
{
    public JsonObject Parse() => JsonNode.Parse(Utf8.Span)!.AsObject();

    /// <summary>Spread evenly over all values by the content of the row: its place where rows are split or sampled.</summary>
    public ulong SplitKey => StableHash.Mix(Hash);

    /// <summary>
    /// Whether the row belongs to the held-out share of its data set. The hash of its content decides, so a row stays on its side
    /// when others come or go, and equal rows stand on the same side.
    /// </summary>
    public bool IsHeldOut(double fraction) => SplitKey < fraction * ulong.MaxValue;
}
