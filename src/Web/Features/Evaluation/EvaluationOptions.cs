using TokenMill.Shared;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>Which rows are asked and how long an answer may be; stored with the evaluation.</summary>
/// <param name="HeldOut">Share of the rows that the fine-tune kept aside, by the same hash; null: all rows.</param>
public sealed record EvaluationOptions(double? HeldOut)
{
    public const int MaxAnswerTokens = 128;

    public int Version { get; init; } = 1;

    public static EvaluationOptions Parse(string json) => Json.Deserialize<EvaluationOptions>(json);
}
