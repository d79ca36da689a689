using System.Text.Json.Nodes;
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
            var item = EvaluationCase.Of(rows[i]);
            var answer = await engine.AnswerAsync(item.Prompt, MaxAnswerTokens, token);
            scores[i] = (Squad.F1(answer, [item.Reference]), Rouge.L(answer, [item.Reference]).F1, await engine.MeanLogLikelihoodAsync(item.Messages, token));
            progress();
        });
        return new Dictionary<string, double>
        {
            ["f1"] = scores.Average(s => s.F1),
            ["rougeL"] = scores.Average(s => s.RougeL),
            ["mean_log_likelihood"] = scores.Average(s => s.LogLikelihood),
        };
    }
}
