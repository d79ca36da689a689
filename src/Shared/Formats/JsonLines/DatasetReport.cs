namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// What a check of a file found; the record of <c>validate --json</c>. Lists are capped, counts are not.
/// <c>Rows</c> is null where the file was refused before its rows were counted.
/// </summary>
public sealed record DatasetReport
{
    /// <summary>At least one row can be used.</summary>
    public required bool Accepted { get; init; }
    public required string Format { get; init; }
    public required string Encoding { get; init; }
    public required long? Rows { get; init; }
    public required long GoodRows { get; init; }
    public required IReadOnlyList<RowFinding> Errors { get; init; }
    public required IReadOnlyList<RowFinding> Warnings { get; init; }
    public required long ErrorCount { get; init; }
    public required long WarningCount { get; init; }

    /// <summary>Count of findings by code, errors and warnings.</summary>
    public required IReadOnlyDictionary<string, long> Codes { get; init; }

    /// <summary>Only when a model counted them.</summary>
    public TokenStatistics? Tokens { get; init; }

    /// <summary>The same report with what a model found in the good rows; a row with an error is good no longer.</summary>
    public DatasetReport With(IReadOnlyList<RowFinding> errors, long errorCount, IReadOnlyList<RowFinding> warnings, long warningCount, TokenStatistics? tokens, int capacity)
    {
        var codes = new SortedDictionary<string, long>(Codes.ToDictionary(), StringComparer.Ordinal);
        foreach (var group in errors.Concat(warnings).GroupBy(f => f.Code)) codes[group.Key] = codes.GetValueOrDefault(group.Key) + group.Count();
        return this with
        {
            Accepted = GoodRows > errorCount,
            GoodRows = GoodRows - errorCount,
            Errors = Merge(Errors, errors, capacity),
            ErrorCount = ErrorCount + errorCount,
            Warnings = Merge(Warnings, warnings, capacity),
            WarningCount = WarningCount + warningCount,
            Codes = codes,
            Tokens = tokens,
        };
    }

    private static List<RowFinding> Merge(IReadOnlyList<RowFinding> first, IReadOnlyList<RowFinding> second, int capacity) =>
        [.. first.Concat(second).OrderBy(f => f.Record).Take(capacity)];
}

/// <summary>Tokens of the good rows, as a model's tokenizer and chat template make them.</summary>
/// <param name="Median">Median of tokens per row; percentiles come from a histogram and are exact to 1/64 of their value.</param>
public sealed record TokenStatistics(long Total, long Supervised, int Shortest, int Median, int Percentile95, int Longest, long TooLong, int Limit);
