using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Tells a file's format from its first rows: the content decides, and the name only where the content says nothing.</summary>
internal static class FormatGuess
{
    private const int Records = 100;

    /// <summary>The format of most of the first JSON rows; tables and plain text have none.</summary>
    public static string Of(string path, DatasetReaderOptions options, CancellationToken cancellationToken)
    {
        using var file = DatasetFile.Open(path, options.MaxUnpackedBytes, cancellationToken);
        using var records = new RecordReader(file.Content, options.MaxRecordBytes);
        var json = new StrictJson();
        var shapes = new Dictionary<string, int>();
        for (var n = 0; n < Records && Next(records); n++)
        {
            if (records.TooLong || json.Check(records.Bytes.Span) is not null) continue;
            using var document = JsonDocument.Parse(records.Bytes, new JsonDocumentOptions { MaxDepth = StrictJson.MaxDepth });
            if (RowShape.Of(document.RootElement) is { } shape) shapes[shape] = shapes.GetValueOrDefault(shape) + 1;
        }
        if (shapes.Count > 0) return shapes.MaxBy(s => s.Value).Key;
        if (options.Map.Count > 0) return "csv";
        return Extension(path) switch { ".csv" => "csv", ".tsv" or ".tab" => "tsv", ".txt" or ".md" => "text", _ => "messages" };
    }

    /// <summary>True if the file begins like JSON.</summary>
    public static bool IsJson(string path, DatasetReaderOptions options)
    {
        using var file = DatasetFile.Open(path, options.MaxUnpackedBytes, default);
        using var records = new RecordReader(file.Content, options.MaxRecordBytes);
        return records.Layout != RecordLayout.Lines || Next(records) && !records.TooLong && records.Bytes.Span.TrimStart(" \t"u8) is [(byte)'{', ..];
    }

    /// <summary>A broken array ends the guess, not the reading: that says what is wrong.</summary>
    private static bool Next(RecordReader records)
    {
        try
        {
            return records.Next();
        }
        catch (Domain.RefusedException)
        {
            return false;
        }
    }

    private static string Extension(string path)
    {
        var name = path.ToLowerInvariant();
        return Path.GetExtension(name.EndsWith(".gz", StringComparison.Ordinal) ? name[..^3] : name);
    }
}
