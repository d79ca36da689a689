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
/// <c>tokenize</c>: texts to token ids, by a file of cases or as a child process that answers one request a line
/// (which is how the platform counts tokens without loading native code).
/// </summary>
internal static class TokenizeCommand
{
    public static Command Command { get; } = new("tokenize", "tokenize MODEL --cases F.jsonl | --stdio", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var stdio = arguments.Flag("--stdio");
        var cases = stdio ? null : arguments.Required("--cases");
        var model = arguments.Positional("MODEL");
        arguments.End();

        using var vocabulary = LlamaVocabulary.Load(model);
        await using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { NewLine = "\n", AutoFlush = stdio };
        if (stdio) await AnswerAsync(new Lazy<ConversationEncoder>(() => Encoder(model, vocabulary)), vocabulary, output, cancellationToken);
        else await TokenizeAsync(vocabulary, cases!, output, cancellationToken);
        return CommandLineHost.Done;
    }

    private static async Task TokenizeAsync(LlamaVocabulary vocabulary, string cases, StreamWriter output, CancellationToken cancellationToken)
    {
        await foreach (var (line, @case) in CaseFile.Read(cases, cancellationToken))
        {
            var ids = vocabulary.Tokenize(CaseFile.Text(@case, "text", line));
            await output.WriteLineAsync(Json.Serialize(new { Ids = ids, Decoded = vocabulary.Decode(ids) }));
        }
    }

    private static ConversationEncoder Encoder(string path, LlamaVocabulary vocabulary)
    {
        using var model = GgufFile.Open(path);
        return ConversationEncoder.For(ChatTemplate.ForModel(model), vocabulary);
    }

    /// <summary>
    /// Requests {"id", "text"} or {"id", "messages", "tools"}; answers {"id", "ids"}, or {"id", "tokens", "supervised"} as the trainer would see
    /// the conversation (all of its examples), or {"id", "error"}. Ends when stdin does.
    /// </summary>
    private static async Task AnswerAsync(Lazy<ConversationEncoder> encoder, LlamaVocabulary vocabulary, StreamWriter output, CancellationToken cancellationToken)
    {
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        for (var number = 1; await input.ReadLineAsync(cancellationToken) is { } line; number++)
            await output.WriteLineAsync(Json.Serialize(Answer(encoder, vocabulary, line, number)));
    }

    private static JsonObject Answer(Lazy<ConversationEncoder> encoder, LlamaVocabulary vocabulary, string line, int number)
    {
        JsonNode? id = null;
        try
        {
            var request = CaseFile.Parse(line, number);
            id = request["id"];
            if (request["messages"] is not JsonArray) return new JsonObject { ["id"] = id?.DeepClone(), ["ids"] = ToArray(vocabulary.Tokenize(CaseFile.Text(request, "text", number))) };
            var examples = encoder.Value.Examples(request);
            return new JsonObject { ["id"] = id?.DeepClone(), ["tokens"] = examples.Sum(e => e.Ids.Length), ["supervised"] = examples.Sum(e => e.SupervisedTokens) };
        }
        catch (RefusedException e)
        {
            return Refusal(id, e.Error);
        }
        catch (TemplateException e)
        {
            return Refusal(id, new Error("template-refused", e.Message, "change the conversation, or choose another model"));
        }
    }

    private static JsonObject Refusal(JsonNode? id, Error error) => new() { ["id"] = id?.DeepClone(), ["error"] = JsonSerializer.SerializeToNode(error, Json.Options) };

    private static JsonArray ToArray(int[] ids) => new([.. ids.Select(i => (JsonNode)i)]);
}
