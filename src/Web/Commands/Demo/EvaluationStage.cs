using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Web.Features.Evaluation;
using TokenMill.Web.Features.Evaluation.Metrics;

namespace TokenMill.Web.Commands.Demo;

/// <summary>Held-out conversations, answered greedily by one set of weights, eight at a time.</summary>
internal static class EvaluationStage
{
    private const int AtOnce = 8, MaxAnswerTokens = 64;
    private static readonly Rouge Rouge = new();

    public static async Task<IReadOnlyDictionary<string, double>> RunAsync(EvaluatedEngine engine, IReadOnlyList<JsonNode> rows, Action progress, CancellationToken cancellationToken)
    {
        var scores = new (double F1, double RougeL, double LogLikelihood)[rows.Count];
        await Parallel.ForAsync(0, rows.Count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, async (i, token) =>
        {
            scores[i] = await ScoreAsync(engine, rows[i], token);
            progress();
        });
        return new Dictionary<string, double>
        {
            ["f1"] = scores.Average(s => s.F1),
            ["rougeL"] = scores.Average(s => s.RougeL),
            ["mean_log_likelihood"] = scores.Average(s => s.LogLikelihood),
        };
    }

    private static async Task<(double F1, double RougeL, double LogLikelihood)> ScoreAsync(EvaluatedEngine engine, JsonNode row, CancellationToken cancellationToken)
    {
        try
        {
            var item = EvaluationCase.Of(row);
            var answer = await engine.AnswerAsync(item.Prompt, MaxAnswerTokens, cancellationToken);
            return (Squad.F1(answer, [item.Reference]), Rouge.L(answer, [item.Reference]).F1, (await engine.ReplyLikelihoodAsync(item.Messages, cancellationToken)).Mean);
        }
        catch (RowNotAskableException e)
        {
            throw new RefusedException(e.Error, e);
        }
    }
}
