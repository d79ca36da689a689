using System.Text.Json;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;

namespace TokenMill.Training.Tokenizer;

/// <summary><c>tokenizer</c>: learns a byte-level BPE vocabulary from JSON Lines rows of {"text"} or {"messages"}.</summary>
internal static class TokenizerCommand
{
    public static Command Command { get; } = new("tokenizer", "tokenizer DATA --vocabulary N --out FILE.gguf", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var size = arguments.Int("--vocabulary") ?? throw new UsageException("--vocabulary is missing");
        var output = arguments.Required("--out");
        var data = arguments.Positional("DATA");
        arguments.End();
        var smallest = TokenizerFile.SpecialTokens.Count + 256;
        if (size < smallest) throw new UsageException($"--vocabulary is at least {smallest}: the special tokens and every byte");

        var trainer = new BytePairTrainer();
        var row = 0;
        await foreach (var line in File.ReadLinesAsync(data, cancellationToken))
        {
            row++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            foreach (var text in Texts(line, row)) trainer.Add(text);
        }
        var tokenizer = trainer.Train(TokenizerFile.SpecialTokens, size, cancellationToken);
        TokenizerFile.Save(tokenizer, output);
        await Console.Out.WriteLineAsync($"{output}: {tokenizer.Tokens.Count} tokens, {tokenizer.Merges.Count} merges, from {row} rows");
        return CommandLineHost.Done;
    }

    private static List<string> Texts(string line, int row)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.TryGetProperty("text", out var text)) return [text.GetString()!];
            return [.. document.RootElement.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new RefusedException(new Error("invalid-row", $"row {row} has no text to learn from: {e.Message}", "write {\"text\": …} or {\"messages\": [{\"role\", \"content\"}]}"), e);
        }
    }
}
