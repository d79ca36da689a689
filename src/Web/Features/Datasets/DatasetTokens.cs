using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Web.Features.Datasets;

/// <summary>What counting the tokens of a dataset version led to, as stored with it: the lengths of its rows and the model they were counted with, or why they could not be counted.</summary>
public sealed record DatasetTokens
{
    public int Version { get; init; } = 1;
    public string? Model { get; init; }
    public TokenStatistics? Statistics { get; init; }
    public Error? Error { get; init; }

    public static DatasetTokens? Parse(string? json) => json is null ? null : Json.Deserialize<DatasetTokens>(json);
}
