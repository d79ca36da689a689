using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
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
        if (stdio) await AnswerAsync(vocabulary, output, cancellationToken);
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

    /// <summary>Requests {"id", "text"}; answers {"id", "ids"} or {"id", "error"}. Ends when stdin does.</summary>
    private static async Task AnswerAsync(LlamaVocabulary vocabulary, StreamWriter output, CancellationToken cancellationToken)
    {
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        for (var number = 1; await input.ReadLineAsync(cancellationToken) is { } line; number++)
            await output.WriteLineAsync(Json.Serialize(Answer(vocabulary, line, number)));
    }

    private static JsonObject Answer(LlamaVocabulary vocabulary, string line, int number)
    {
        JsonNode? id = null;
        try
        {
            var request = CaseFile.Parse(line, number);
            id = request["id"];
            return new JsonObject { ["id"] = id?.DeepClone(), ["ids"] = ToArray(vocabulary.Tokenize(CaseFile.Text(request, "text", number))) };
        }
        catch (RefusedException e)
        {
            return Refusal(id, e.Error);
        }
    }

    private static JsonObject Refusal(JsonNode? id, Error error) => new() { ["id"] = id?.DeepClone(), ["error"] = JsonSerializer.SerializeToNode(error, Json.Options) };

    private static JsonArray ToArray(int[] ids) => new([.. ids.Select(i => (JsonNode)i)]);
}
