using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>A conversation as a question: everything before its last reply is the prompt, that reply the reference.</summary>
public sealed record EvaluationCase(JsonArray Messages, JsonArray Prompt, string Reference)
{
    public static EvaluationCase Of(JsonNode row)
    {
        var messages = row["messages"]!.AsArray();
        var last = Enumerable.Range(0, messages.Count).LastOrDefault(i => messages[i]!["role"]!.GetValue<string>() == "assistant", -1);
        if (last < 1) throw new RowNotAskableException(new Error("no-reply", "the conversation has no reply after a question", "remove it from the dataset"));
        return new(
            [.. messages.Take(last + 1).Select(m => m!.DeepClone())],
            [.. messages.Take(last).Select(m => m!.DeepClone())],
            TextOf(messages[last]!["content"]));
    }

    /// <summary>Content is a text, or a list of text parts.</summary>
    public static string TextOf(JsonNode? content) => content switch
    {
        JsonValue text => text.GetValue<string>(),
        JsonArray parts => string.Concat(parts.Select(p => p?["text"]?.GetValue<string>())),
        _ => "",
    };
}
