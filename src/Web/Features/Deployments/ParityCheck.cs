using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Features.Deployments;

/// <summary>
/// Compares the engine with the trainer before traffic: the same base file and adapter, the same conversations.
/// The engine turns the conversations into tokens, as it will for its users; the trainer computes them in fp32.
/// </summary>
public sealed class ParityCheck(TimeProvider time)
{
    private const int MaxConversations = 16, MaxTokensPerConversation = 256, MaxTokens = 800;

    /// <param name="engine">The loaded deployment.</param>
    /// <param name="adapterName">The name of the adapter in the engine, or null for the base.</param>
    /// <param name="basePath">Base GGUF, as loaded by the engine.</param>
    /// <param name="adapterFolder">The PEFT folder of the adapter the engine has loaded, or null.</param>
    /// <param name="rows">Conversations ({"messages"}), as many as there are up to what is needed.</param>
    /// <param name="workFolder">For the file the trainer reads; the caller's to clean up.</param>
    public async Task<ParityReport> RunAsync(ServingProcess engine, string? adapterName, string basePath, string? adapterFolder, IEnumerable<JsonNode> rows, string workFolder, CancellationToken cancellationToken)
    {
        var sequences = await EncodeAsync(engine, rows, cancellationToken);
        var casesPath = Path.Combine(workFolder, "parity.jsonl");
        Directory.CreateDirectory(workFolder);
        await File.WriteAllLinesAsync(casesPath, sequences.Select(s => Json.Serialize(new { s.Ids })), cancellationToken);
        var expected = await TrainerLogProbabilitiesAsync(basePath, adapterFolder, casesPath, cancellationToken);
        if (expected.Count != sequences.Count) throw new RefusedException("parity-incomplete", $"the trainer answered {expected.Count} of {sequences.Count} conversations", "look at the portal's log and try again");

        var pairs = new List<ParityToken>();
        for (var i = 0; i < sequences.Count; i++)
        {
            var actual = await EngineLogProbabilitiesAsync(engine, adapterName, sequences[i].Ids, cancellationToken);
            for (var position = 0; position < actual.Length; position++)
                pairs.Add(new ParityToken(i + 1, position + 1, sequences[i].Pieces[position + 1], expected[i][position], actual[position]));
        }
        return ParityReport.Of(sequences.Count, IsQuantised(basePath), pairs);
    }

    /// <summary>Tokens of a conversation, and what each of them says.</summary>
    private sealed record Sequence(int[] Ids, string[] Pieces);

    private static async Task<List<Sequence>> EncodeAsync(ServingProcess engine, IEnumerable<JsonNode> rows, CancellationToken cancellationToken)
    {
        var sequences = new List<Sequence>();
        foreach (var row in rows)
        {
            if (sequences.Count >= MaxConversations || (sequences.Count >= ParityReport.MinConversations && sequences.Sum(s => s.Ids.Length) >= MaxTokens)) break;
            var answer = await PostAsync(engine, "/internal/encode", new JsonObject { ["messages"] = row["messages"]?.DeepClone(), ["tools"] = row["tools"]?.DeepClone() }, cancellationToken);
            var sequence = new Sequence(
                [.. answer["ids"]!.AsArray().Take(MaxTokensPerConversation).Select(id => id!.GetValue<int>())],
                [.. answer["pieces"]!.AsArray().Take(MaxTokensPerConversation).Select(piece => piece!.GetValue<string>())]);
            if (sequence.Ids.Length > 1) sequences.Add(sequence);
        }
        var tokens = sequences.Sum(s => s.Ids.Length - 1);
        if (sequences.Count < ParityReport.MinConversations || tokens < ParityReport.MinTokens)
            throw new RefusedException("parity-too-little-data", $"{sequences.Count} conversations with {tokens} tokens are too few to compare engine and trainer", $"at least {ParityReport.MinConversations} conversations and {ParityReport.MinTokens} tokens are needed");
        return sequences;
    }

    private async Task<List<double[]>> TrainerLogProbabilitiesAsync(string basePath, string? adapterFolder, string casesPath, CancellationToken cancellationToken)
    {
        List<string> arguments = ["logits", basePath, "--dtype", "float32", "--cases", casesPath];
        if (adapterFolder is not null) arguments.AddRange(["--adapter", adapterFolder]);
        await using var trainer = ChildProcess.Start(ChildProgram.Sibling("Training", arguments), time);
        var rows = new List<double[]>();
        await foreach (var line in trainer.LinesAsync(cancellationToken))
            rows.Add(Numbers(JsonNode.Parse(line)!["next_token_logprob"]!));
        var exit = await trainer.Exited;
        return exit.Code == 0 ? rows : throw new RefusedException("trainer-failed", $"the trainer could not compute the model: {exit.Reason} {exit.Stderr}".Trim(), "set-up installs what the trainer needs: run ./run setup");
    }

    private static async Task<double[]> EngineLogProbabilitiesAsync(ServingProcess engine, string? adapter, int[] ids, CancellationToken cancellationToken)
    {
        var answer = await PostAsync(engine, "/internal/logprobs", new JsonObject { ["ids"] = Ids(ids), ["adapter"] = adapter }, cancellationToken);
        return Numbers(answer["next_token_logprob"]!);
    }

    private static async Task<JsonNode> PostAsync(ServingProcess engine, string path, JsonObject body, CancellationToken cancellationToken)
    {
        using var response = await engine.Client.PostAsJsonAsync(path, body, cancellationToken);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonNode>(cancellationToken) ?? throw new JsonException($"{path} answered null");
    }

    /// <summary>Block types make the engine quantise activations as well.</summary>
    private static bool IsQuantised(string path)
    {
        using var file = GgufFile.Open(path);
        return file.Tensors.Any(t => t.Type is not (GgufType.F32 or GgufType.F16 or GgufType.BF16));
    }

    private static JsonArray Ids(int[] ids) => [.. ids.Select(id => JsonValue.Create(id))];

    private static double[] Numbers(JsonNode array) => [.. array.AsArray().Select(n => n!.GetValue<double>())];
}
