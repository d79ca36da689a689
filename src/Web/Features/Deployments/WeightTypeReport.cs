using TokenMill.Shared;

namespace TokenMill.Web.Features.Deployments;

/// <summary>What a measurement of a model's possible types of weights found on this machine, as <c>quantize --types auto --json</c> writes it.</summary>
/// <param name="Gain">How many times as fast the chosen type is as the file's own.</param>
public sealed record WeightTypeReport(string FileType, string Type, double Gain, WeightTypeReport.Measurements? Report)
{
    /// <summary>The file as it is, and the candidates.</summary>
    public sealed record Measurements(Row Original, IReadOnlyList<Row> Variants);

    public sealed record Row(string Type, long SizeBytes, double TokensPerSecond, double PromptTokensPerSecond, double KlDivergence, double Top1Agreement);

    public bool IsFileType => Type == FileType;

    public IEnumerable<Row> Rows => Report is null ? [] : Report.Variants.Prepend(Report.Original with { Type = FileType });

    /// <summary>Null if there is none, or one of another version.</summary>
    public static WeightTypeReport? Read(string path)
    {
        try
        {
            return File.Exists(path) ? Json.Deserialize<WeightTypeReport>(File.ReadAllText(path)) : null;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
