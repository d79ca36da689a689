namespace TokenMill.Shared.Formats.JsonLines;

public sealed record DatasetReaderOptions
{
    /// <summary>auto, or the format that the user chose: one of <see cref="DatasetReader.Formats"/>.</summary>
    public string Format { get; init; } = "auto";

    /// <summary>Role (user, assistant, system) → column of a table; guessed from the usual names when empty.</summary>
    public IReadOnlyDictionary<string, string> Map { get; init; } = new Dictionary<string, string>();

    /// <summary>A gzip file that unpacks to more is refused.</summary>
    public long MaxUnpackedBytes { get; init; } = 4L << 30;

    /// <summary>A longer record is an error of its row; four mebibytes are about a million tokens.</summary>
    public int MaxRecordBytes { get; init; } = 4 << 20;

    /// <summary>Rows that exceed so many tokens with any tokenizer are named; a model counts exactly, so then this is left out.</summary>
    public int ContextTokens { get; init; } = 8_192;

    /// <summary>So many errors and so many warnings are listed; all are counted.</summary>
    public int MaxFindings { get; init; } = 10_000;

    /// <summary>Whether to look for what is worth knowing beside the errors; the trainer does not need it.</summary>
    public bool Warnings { get; init; } = true;

    /// <summary>The training file, when this one is for validation: rows that stand in both are named.</summary>
    public string? Against { get; init; }

    /// <summary>Told the count of records now and then.</summary>
    public IProgress<long>? Progress { get; init; }
}
