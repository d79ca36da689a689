using TokenMill.Shared;
using TokenMill.Shared.Formats.JsonLines;

namespace TokenMill.Web.Features.Datasets;

/// <summary>Token statistics of a dataset version as stored with it: lengths of its rows, counted with one model.</summary>
public sealed record DatasetTokens(string Model, TokenStatistics Statistics)
{
    public int Version { get; init; } = 1;

    public static DatasetTokens? Parse(string? json) => json is null ? null : Json.Deserialize<DatasetTokens>(json);
}
