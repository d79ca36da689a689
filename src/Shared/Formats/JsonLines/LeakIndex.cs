namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>What stands in a training file, so that rows of a validation file which stand there too can be named.</summary>
internal sealed class LeakIndex
{
    private readonly RowIndex _rows = new(), _looseRows = new(), _prompts = new();

    public void Add(in RowKeys keys, long row)
    {
        _rows.TryAdd(keys.Row, row, out _);
        if (keys.LooseRow != 0) _looseRows.TryAdd(keys.LooseRow, row, out _);
        if (keys.Prompt != 0) _prompts.TryAdd(keys.Prompt, row, out _);
    }

    public void Check(in RowKeys keys, RowFindings findings)
    {
        if (_rows.Contains(keys.Row, out var row)) Warn("row");
        else if (keys.LooseRow != 0 && _looseRows.Contains(keys.LooseRow, out row)) Warn("row, but for white space");
        else if (keys.Prompt != 0 && _prompts.Contains(keys.Prompt, out row)) Warn("prompt");

        void Warn(string match) =>
            findings.Warn(null, "validation-leak", $"stands in the training file too, in row {row:N0} ({match}), so it measures memory instead of skill; remove it from one of them", ofRow: row, match: match);
    }
}

/// <summary>Hashes by which rows are compared: as data; without white space (0 where rows are no text); everything before the last answer, without white space (0 if none).</summary>
internal readonly record struct RowKeys(ulong Row, ulong LooseRow, ulong Prompt);
