namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Collects what is found in one row; a row with many faults names the first few.</summary>
internal sealed class RowFindings
{
    private const int MostPerRow = 8;
    private readonly List<RowFinding> _errors = [], _warnings = [];

    public long Row { get; private set; }
    public long Record { get; private set; }
    public IReadOnlyList<RowFinding> Errors => _errors;
    public IReadOnlyList<RowFinding> Warnings => _warnings;
    public bool HasErrors => _errors.Count > 0;

    public void Begin(long row, long record)
    {
        (Row, Record) = (row, record);
        _errors.Clear();
        _warnings.Clear();
    }

    public void Error(string? field, string code, string message)
    {
        if (_errors.Count < MostPerRow) _errors.Add(new RowFinding(Row, Record, field, code, message));
    }

    public void Warn(string? field, string code, string message, long? ofRow = null, string? match = null, string? type = null)
    {
        if (_warnings.Count < MostPerRow) _warnings.Add(new RowFinding(Row, Record, field, code, message) { OfRow = ofRow, Match = match, Type = type });
    }
}
