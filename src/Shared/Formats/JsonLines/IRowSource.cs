namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Rows of a file, whatever it is written in. The properties belong to the last row and are valid until the next.</summary>
internal interface IRowSource : IDisposable
{
    /// <summary>Judges the next row into <paramref name="findings"/>, which it begins; false at the end of the file.</summary>
    bool Next(RowFindings findings);

    /// <summary>Rows so far.</summary>
    long Rows { get; }

    /// <summary>The canonical row as JSON, and its hash as data.</summary>
    ReadOnlyMemory<byte> Utf8 { get; }
    ulong Hash { get; }
    RowText Text { get; }

    /// <summary>Why a file without rows has none.</summary>
    string WhyEmpty { get; }
}

/// <summary>Refuses the file as a whole, and names the place in it that tells why.</summary>
internal sealed class RefusedFileException(RowFinding finding) : Exception(finding.Message)
{
    public RowFinding Finding { get; } = finding;
}
