using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Playground;

/// <summary>A question and its answers: the last one counts, the earlier ones were regenerated.</summary>
public sealed record Turn(string Question, IReadOnlyList<Generation> Answers)
{
    public Generation Answer => Answers[^1];

    /// <summary>Generations of one conversation, in order. Two that were asked the same at the same place are answers to one question.</summary>
    public static IReadOnlyList<Turn> Of(IReadOnlyList<Generation> generations)
    {
        var turns = new List<Turn>();
        var place = 0;
        foreach (var generation in generations)
        {
            var (said, question) = Asked(generation);
            if (turns.Count > 0 && said == place && turns[^1].Question == question) turns[^1] = turns[^1] with { Answers = [.. turns[^1].Answers, generation] };
            else turns.Add(new Turn(question, [generation]));
            place = said;
        }
        return turns;
    }

    /// <summary>How much had been said, and what was asked last.</summary>
    private static (int Said, string Question) Asked(Generation generation)
    {
        var messages = JsonNode.Parse(generation.MessagesJson)!.AsArray().Where(m => m!["role"]!.GetValue<string>() != "system").ToList();
        return (messages.Count, messages[^1]!["content"]!.GetValue<string>());
    }
}
