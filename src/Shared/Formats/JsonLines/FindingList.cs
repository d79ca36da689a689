namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Findings in file order: the first <paramref name="capacity"/> are kept, all are counted.</summary>
internal sealed class FindingList(int capacity)
{
    private readonly List<RowFinding> _kept = [];

    public IReadOnlyList<RowFinding> Kept => _kept;
    public long Count { get; private set; }
    public SortedDictionary<string, long> Codes { get; } = new(StringComparer.Ordinal);

    public void Add(RowFinding finding)
    {
        Count++;
        Codes[finding.Code] = Codes.GetValueOrDefault(finding.Code) + 1;
        if (_kept.Count < capacity) _kept.Add(finding);
    }
}
