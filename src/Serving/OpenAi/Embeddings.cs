using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>POST /v1/embeddings.</summary>
internal static class Embeddings
{
    private const int MaxTexts = 2_048;

    /// <param name="checkModel">Throws if there is no model of that name.</param>
    public static async Task HandleAsync(HttpContext context, string name, Func<string?, string?> checkModel, Func<Embedder> getEmbedder)
    {
        var request = await context.ReadBodyAsync<EmbeddingRequest>();
        if (checkModel(request.Model) is not null) throw Refusals.Unsupported("model", $"adapters give no embeddings: ask for {name}");
        if (request.EncodingFormat is not (null or "float" or "base64")) throw Refusals.Invalid("encoding_format", $"the encoding '{request.EncodingFormat}' is unknown", "choose float or base64");
        var embedder = getEmbedder();
        if (request.Dimensions is { } dimensions && (dimensions < 1 || dimensions > embedder.Length)) throw Refusals.Invalid("dimensions", $"dimensions is {dimensions}", $"choose 1 to {embedder.Length}");

        var texts = Texts(request.Input, embedder);
        var vectors = await embedder.EmbedAsync(texts, context.RequestAborted);
        var tokens = texts.Sum(t => t.Length);
        var data = vectors.Select((v, i) => new EmbeddingList.Entry(i, Encoded(request.Dimensions is { } d ? Embedder.Normalised(v.AsSpan(0, d)) : v, request.EncodingFormat)));
        await context.Response.WriteAsJsonAsync(new EmbeddingList([.. data], string.IsNullOrEmpty(request.Model) ? name : request.Model, new(tokens, tokens)), Json.Options, context.RequestAborted);
    }

    private static List<int[]> Texts(JsonNode input, Embedder embedder)
    {
        var several = input is JsonArray array && !array.All(IsId);
        var texts = several ? ((JsonArray)input).Select((t, i) => Ids(t, $"input[{i}]", embedder)).ToList() : [Ids(input, "input", embedder)];
        return texts.Count <= MaxTexts ? texts : throw Refusals.Invalid("input", $"there are {texts.Count} texts", $"send at most {MaxTexts} at once");
    }

    private static int[] Ids(JsonNode? text, string path, Embedder embedder)
    {
        var ids = text switch
        {
            JsonValue value when value.TryGetValue<string>(out var s) => embedder.Vocabulary.Tokenize(s, addSpecial: true, parseSpecial: false),
            JsonArray { Count: > 0 } list when list.All(IsId) => [.. list.Select(id => id!.GetValue<int>())],
            _ => throw Refusals.Invalid(path, "the input is neither a text nor a list of token ids, nor a list of those", "send \"input\": \"…\""),
        };
        if (ids.Length == 0) throw Refusals.Invalid(path, "the text has no tokens", "send some text");
        if (ids.Length > embedder.MaxTokens) throw new RefusedException(new Error("context-length-exceeded", $"the text has {ids.Length} tokens, the model reads at most {embedder.MaxTokens}", "cut it into parts") { Field = path });
        if (Array.Exists(ids, id => (uint)id >= (uint)embedder.Vocabulary.Count)) throw new RefusedException(new Error("unknown-token", $"the vocabulary has {embedder.Vocabulary.Count} tokens", "tokenize with this model's vocabulary") { Field = path });
        return ids;
    }

    private static bool IsId(JsonNode? node) => node is JsonValue value && value.TryGetValue<int>(out _);

    private static object Encoded(float[] vector, string? format) => format == "base64" ? Convert.ToBase64String(MemoryMarshal.AsBytes(vector.AsSpan())) : vector;
}
