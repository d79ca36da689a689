using TokenMill.Shared;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>Which rows are asked and how long an answer may be; stored with the evaluation.</summary>
/// <param name="HeldOut">Share of the rows that the fine-tune kept aside, by the same hash; null: all rows.</param>
public sealed record EvaluationOptions(double? HeldOut)
{
    public const int MaxAnswerTokens = 128, MaxItems = 1000;

    /// <summary>What is asked when the fine-tune kept nothing aside.</summary>
    public const double SampleShare = 0.1;
    public const int MinSampleItems = 20;

    public int Version { get; init; } = 1;

    /// <summary>The fine-tune kept nothing aside: a sample of all rows stands in, which it has learned from.</summary>
    public bool IsSample { get; init; }

    public static EvaluationOptions Parse(string json) => Json.Deserialize<EvaluationOptions>(json);

    /// <summary>How many of the rows that qualify are asked.</summary>
    public int Items(int rows) => Math.Min(rows, IsSample ? Math.Clamp((int)Math.Ceiling(rows * SampleShare), MinSampleItems, MaxItems) : MaxItems);
}
