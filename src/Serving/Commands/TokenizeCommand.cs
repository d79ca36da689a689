using System.Text;
using TokenMill.Shared;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Commands;

/// <summary><c>tokenize</c>: texts to token ids, by a file of cases or as a child process that answers one request a line.</summary>
internal static class TokenizeCommand
{
    public static Command Command { get; } = new("tokenize", "tokenize MODEL --cases F.jsonl | --stdio", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var stdio = arguments.Flag("--stdio");
        var cases = stdio ? null : arguments.Required("--cases");
        var given = arguments.Positional("MODEL");
        arguments.End();
        var model = await ModelPath.ResolveAsync(given, cancellationToken);

        using var vocabulary = LlamaVocabulary.Load(model);
        await using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { NewLine = "\n", AutoFlush = stdio };
        if (cases is null) await new TokenizeStdio(model, vocabulary).RunAsync(output, cancellationToken);
        else
            await foreach (var (line, @case) in CaseFile.Read(cases, cancellationToken))
            {
                var ids = vocabulary.Tokenize(CaseFile.Text(@case, "text", line));
                await output.WriteLineAsync(Json.Serialize(new { Ids = ids, Decoded = vocabulary.Decode(ids) }));
            }
        return CommandLineHost.Done;
    }
}
