using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TokenMill.Serving.Llama;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Host;

public sealed class EmbeddingTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Embeddings_OfAnEncoder_AreTheReferences()
    {
        await using var server = await TestServer.StartAsync(Reference.Locate("models/all-MiniLM-L6-v2-Q8_0.gguf"));
        var golden = File.ReadLines(Reference.Locate("golden/embeddings-minilm.jsonl")).Select(l => JsonNode.Parse(l)!).ToList();
        var texts = new JsonArray([.. golden.Select(g => g["text"]!.DeepClone())]);
        var answer = await server.PostJsonAsync("/v1/embeddings", new JsonObject { ["input"] = texts }.ToJsonString());
        var vectors = answer["data"]!.AsArray().Select(d => Numbers(d!["embedding"]!)).ToList();
        var (worst, text) = golden.Zip(vectors, (g, v) => (Cosine: Cosine(Numbers(g["embedding"]!), v), Text: g["text"]!.ToString())).Min();
        output.WriteLine($"worst cosine {worst:0.00000} over {golden.Count} texts: \"{text}\"");
        Assert.InRange(worst, 0.99, 1.0001);
        Assert.Equal(golden.Sum(g => g["tokens"]!.GetValue<int>()), answer["usage"]!["prompt_tokens"]!.GetValue<int>());
        Assert.Equal(Enumerable.Range(0, golden.Count), answer["data"]!.AsArray().Select(d => d!["index"]!.GetValue<int>()));

        var alone = (await server.PostJsonAsync("/v1/embeddings", new JsonObject { ["input"] = texts[3]!.DeepClone(), ["encoding_format"] = "base64" }.ToJsonString()))["data"]![0]!["embedding"]!.GetValue<string>();
        Assert.InRange(Cosine(MemoryMarshal.Cast<byte, float>(Convert.FromBase64String(alone)).ToArray(), vectors[3]), 0.999, 1.0001);      // products are rounded otherwise in a larger batch
        var few = Numbers((await server.PostJsonAsync("/v1/embeddings", new JsonObject { ["input"] = texts[3]!.DeepClone(), ["dimensions"] = 64 }.ToJsonString()))["data"]![0]!["embedding"]!);
        Assert.Equal(64, few.Length);
        Assert.InRange(few.Sum(x => x * x), 0.9999f, 1.0001f);
        Assert.InRange(Cosine(few, vectors[3][..64]), 0.999, 1.0001);

        foreach (var (body, param) in new[]
        {
            ("""{"input":[]}""", "input"), ("""{"input":["a",7]}""", "input[1]"), ("""{"input":[99999999]}""", "input"), ("""{"input":"a","dimensions":9999}""", "dimensions"),
            ("""{"input":"a","encoding_format":"hex"}""", "encoding_format"), ("""{"input":"a","model":"other"}""", "model"), ($$"""{"input":"{{string.Concat(Enumerable.Repeat("word ", 600))}}"}""", "input"),
        })
        {
            using var response = await server.PostAsync("/v1/embeddings", body);
            Assert.Equal(param, JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!["param"]?.ToString());
        }
        using var chat = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal("unsupported_model", JsonNode.Parse(await chat.Content.ReadAsStringAsync())!["error"]!["code"]!.ToString());
        Assert.Equal("ok", JsonNode.Parse(await server.Client.GetStringAsync("/health"))!["status"]!.ToString());
    }

    [Fact]
    public async Task Embeddings_OfAModelThatWrites_TellTextsApart()
    {
        await using var server = await TestServer.StartAsync(Models.SmolLm2, new LlamaExecutorOptions { ContextTokens = 1024 });
        var answer = await server.PostJsonAsync("/v1/embeddings", """{"input":["The cat sleeps on the sofa.","The cat sleeps on the sofa.","A kitten is asleep on the couch.","Interest rates rose by two percent in March."]}""");
        var vectors = answer["data"]!.AsArray().Select(d => Numbers(d!["embedding"]!)).ToList();
        Assert.InRange(Cosine(vectors[0], vectors[1]), 0.9999, 1.0001);
        Assert.True(Cosine(vectors[0], vectors[2]) > Cosine(vectors[0], vectors[3]));
    }

    private static float[] Numbers(JsonNode array) => [.. array.AsArray().Select(n => n!.GetValue<float>())];

    private static double Cosine(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum() / Math.Sqrt(a.Sum(x => (double)x * x) * b.Sum(x => (double)x * x));
}
