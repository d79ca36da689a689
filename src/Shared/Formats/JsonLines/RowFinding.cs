namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// One thing to say about a row, or about the file as a whole (no row). An error sets the row aside; a warning leaves it usable.
/// <see cref="Message"/> ends in what to do.
/// </summary>
/// <param name="Row">Line of the file on which the record begins (first line 1), or its place in a JSON array.</param>
/// <param name="Record">The record's number, from 1.</param>
/// <param name="Field">Path inside the row, such as <c>messages[1].content</c>.</param>
public sealed record RowFinding(long? Row, long? Record, string? Field, string Code, string Message)
{
    /// <summary>The earlier row (of the training file, for a leak) that this one repeats.</summary>
    public long? OfRow { get; init; }

    /// <summary>What was found, where it is a piece of the text.</summary>
    public string? Match { get; init; }

    /// <summary>Kind of the match, such as <c>email</c>.</summary>
    public string? Type { get; init; }
}
