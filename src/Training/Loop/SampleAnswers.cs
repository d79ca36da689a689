using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Llama;
using TokenMill.Training.Models;

namespace TokenMill.Training.Loop;

/// <summary>What the model answers to the prompts of the specification, greedily.</summary>
public sealed class SampleAnswers(CausalModel model, LlamaVocabulary vocabulary, ConversationEncoder encoder, IReadOnlyList<string> prompts)
{
    private const int MaxTokens = 96;

    public IEnumerable<(string Prompt, string Answer)> Generate(CancellationToken cancellationToken)
    {
        foreach (var prompt in prompts)
        {
            var ids = encoder.Prompt([new JsonObject { ["role"] = "user", ["content"] = prompt }]);
            var room = Math.Min(MaxTokens, model.Config.ContextLength - ids.Length);
            if (room < 1) continue;
            var answer = GreedyDecoding.Continue(model, ids, room, vocabulary.IsEndOfGeneration, cancellationToken);
            yield return (prompt, vocabulary.Decode([.. answer]));
        }
    }
}
