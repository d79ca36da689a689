using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows that are token ids already: <c>{"ids":[…],"labels":[…]}</c>, −100 = not supervised; for preferences
/// <c>{"chosen":{"ids","labels"},"rejected":{…}}</c>. Whether an id exists depends on the model, so the trainer checks that.
/// </summary>
internal sealed class TokensFormat : IRowFormat
{
    public RowText Text { get; } = new();

    public bool Rewrite(JsonElement row, IBufferWriter<byte> target) => false;

    public void Check(JsonElement row, RowFindings findings)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            findings.Error(null, "data-type", $"a row must be an object, this one is {row.Kind()}; write {{\"ids\": […], \"labels\": […]}}");
            return;
        }
        if (row.Property("chosen"u8) is null && row.Property("rejected"u8) is null)
        {
            Sequence(row, "", findings);
            return;
        }
        foreach (var side in new[] { "chosen", "rejected" })
        {
            if (!row.TryGetProperty(side, out var sequence)) findings.Error(side, "missing-key", $"{side} is missing; write {{\"ids\": […], \"labels\": […]}}");
            else if (sequence.ValueKind != JsonValueKind.Object) findings.Error(side, "data-type", $"{side} must be an object but is {sequence.Kind()}; write {{\"ids\": […], \"labels\": […]}}");
            else Sequence(sequence, $"{side}.", findings);
        }
    }

    private static void Sequence(JsonElement sequence, string path, RowFindings findings)
    {
        var (ids, labels) = (Integers(sequence, "ids", path, findings), Integers(sequence, "labels", path, findings));
        if (findings.HasErrors) return;
        if (ids == 0) findings.Error($"{path}ids", "missing-content", "there is no token; remove the row");
        else if (ids != labels) findings.Error($"{path}labels", "length-mismatch", $"{labels:N0} labels for {ids:N0} ids; each id needs one, -100 where nothing is learned");
    }

    private static int Integers(JsonElement sequence, string key, string path, RowFindings findings)
    {
        if (!sequence.TryGetProperty(key, out var list))
        {
            findings.Error($"{path}{key}", "missing-key", $"{key} is missing; write a list of integers");
            return 0;
        }
        if (list.ValueKind != JsonValueKind.Array)
        {
            findings.Error($"{path}{key}", "data-type", $"{key} must be a list of integers but is {list.Kind()}");
            return 0;
        }
        var index = 0;
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out _))
            {
                findings.Error($"{path}{key}[{index}]", "data-type", $"must be an integer but is {(item.ValueKind == JsonValueKind.Number ? item.GetRawText() : item.Kind())}");
                return 0;
            }
            index++;
        }
        return index;
    }
}
