using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Commands;

/// <summary>
/// <c>tokenize MODEL --stdio</c>: how the platform counts tokens without loading native code. Requests {"id", "text"} or
/// {"id", "messages", "tools"}; answers {"id", "ids"}, {"id", "tokens", "supervised"} or {"id", "error"}, in the same order.
/// Ends when stdin does.
/// </summary>
internal sealed class TokenizeStdio(string modelPath, LlamaVocabulary vocabulary)
{
    private readonly Lazy<ConversationEncoder> _encoder = new(() =>
    {
        using var file = GgufFile.Open(modelPath);
        return ConversationEncoder.For(ChatTemplate.ForModel(file), vocabulary);
    });

    public async Task RunAsync(TextWriter output, CancellationToken cancellationToken)
    {
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        for (var number = 1; await input.ReadLineAsync(cancellationToken) is { } line; number++)
            await output.WriteLineAsync(Json.Serialize(Answer(line, number)));
    }

    private JsonObject Answer(string line, int number)
    {
        JsonNode? id = null;
        try
        {
            var request = CaseFile.Parse(line, number);
            id = request["id"];
            return request["messages"] is JsonArray ? Count(id, request) : Tokenize(id, CaseFile.Text(request, "text", number));
        }
        catch (RefusedException e)
        {
            return Refusal(id, e.Error);
        }
        catch (TemplateException e)
        {
            return Refusal(id, new Error("template-refused", e.Message, "change the conversation, or choose another model"));
        }
        catch (InvalidOperationException e)
        {
            return Refusal(id, new Error("invalid-case", $"line {number}: {e.Message}", "write messages of role and content, in whole characters"));
        }
    }

    private JsonObject Tokenize(JsonNode? id, string text) => new() { ["id"] = id?.DeepClone(), ["ids"] = new JsonArray([.. vocabulary.Tokenize(text).Select(i => (JsonNode)i)]) };

    /// <summary>As the trainer sees the conversation: all of its examples.</summary>
    private JsonObject Count(JsonNode? id, JsonObject row)
    {
        var examples = _encoder.Value.Examples(row);
        return new JsonObject { ["id"] = id?.DeepClone(), ["tokens"] = examples.Sum(e => e.Ids.Length), ["supervised"] = examples.Sum(e => e.SupervisedTokens) };
    }

    private static JsonObject Refusal(JsonNode? id, Error error) => new() { ["id"] = id?.DeepClone(), ["error"] = JsonSerializer.SerializeToNode(error, Json.Options) };
}
