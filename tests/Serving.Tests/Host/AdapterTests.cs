using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Serving.Host;
using TokenMill.Serving.Llama;
using TokenMill.Serving.Sampling;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Serving.Tests.Host;

/// <summary>Adapters that come, go and make way for each other while a server answers, on the built-in model.</summary>
public sealed class AdapterTests : IDisposable
{
    private const string Secret = "sk-adapters";

    private readonly ITestOutputHelper _output;
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenmill-adapters-").FullName;

    public AdapterTests(ITestOutputHelper output)
    {
        _output = output;
        Models.WriteExpanded(Path.Combine(Reference.Repository, "models", "starter", "starter.gguf"), Model, GgufType.F32);
    }

    /// <summary>In single precision, so that a token computed beside others is the one computed alone.</summary>
    private string Model => Path.Combine(_folder, "starter.gguf");

    [Fact]
    public async Task SixteenAdapters_TwoInMemory_AllAnswerAsAlone()
    {
        var names = Enumerable.Range(0, 16).Select(i => $"a{i}").ToList();
        var adapters = names.Select((n, i) => new NamedAdapter(n, Write($"{n}.gguf", seed: i))).ToList();
        var alone = new Dictionary<string, string>();
        await using (var all = await StartAsync(16, [.. adapters]))
            foreach (var name in names.Append("starter")) alone[name] = await AnswerAsync(all, name);
        Assert.Equal(17, alone.Values.Distinct().Count());

        await using var server = await StartAsync(2, [.. adapters]);
        for (var round = 0; round < 2; round++)
        {
            var asked = names.Append("starter").ToList();
            var answers = await Task.WhenAll(asked.Select(n => AnswerAsync(server, n)));
            Assert.Equal(asked.Select(n => alone[n]), answers);
        }
        _output.WriteLine($"{await server.MetricAsync("adapter_loads_total")} loads for 32 answers of 16 adapters");
        Assert.Equal(2, await server.MetricAsync("adapters_loaded"));
        Assert.True(await server.MetricAsync("adapter_loads_total") >= 30);
    }

    [Fact]
    public async Task Adapter_AddedAndRemovedInUse_ItsAnswersFinish_NewOnesAreRefused()
    {
        await using var server = await StartAsync(4);
        var (first, second) = (Write("first.gguf", seed: 1), Write("second.gguf", seed: 2));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(server, "tuned"));
        Assert.Equal(HttpStatusCode.OK, await AddAsync(server, "tuned", first));
        Assert.Equal(HttpStatusCode.Conflict, await AddAsync(server, "tuned", second));
        Assert.Equal(["starter", "tuned"], (await server.Client.GetFromJsonAsync<JsonNode>("/v1/models"))!["data"]!.AsArray().Select(m => m!["id"]!.ToString()));
        var whole = await AnswerAsync(server, "tuned", 900);

        // So many tokens that it goes on when its first one is here.
        using var stream = await server.PostAsync("/v1/completions", Request("tuned", 900, stream: true));
        using var events = new StreamReader(await stream.Content.ReadAsStreamAsync());
        var begun = await TextAsync(events, most: 1);
        using (var removed = await server.Client.DeleteAsync("/internal/adapters/tuned")) Assert.Equal(HttpStatusCode.OK, removed.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(server, "tuned"));

        // The name is free at once: another adapter under it finds nothing of the first one's.
        Assert.Equal(HttpStatusCode.OK, await AddAsync(server, "tuned", second));
        var other = await AnswerAsync(server, "tuned", 40);
        Assert.Equal(whole, begun + await TextAsync(events));
        Assert.NotEqual(whole[..20], other[..20]);
        Assert.Equal(other, await AnswerAsync(server, "tuned", 40));
        await server.WaitForAsync("adapters_loaded", n => n == 1);
        using var gone = await server.Client.DeleteAsync("/internal/adapters/other");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    /// <summary>The engine saves what the first adapter computed; before it is done, another one has the name.</summary>
    [Fact]
    public async Task SavedConversation_OfAnAdapterThatIsReplacedMeanwhile_NamesTheOneThatComputedIt()
    {
        var (first, second) = (Write("first.gguf", seed: 1), Write("second.gguf", seed: 2));
        using var model = Models.Load(Model, new LlamaExecutorOptions { ContextTokens = 512 }, new NamedAdapter("tuned", first));
        var tokens = model.Vocabulary.Tokenize("Tell me a story about a fox and the sea.", addSpecial: true);
        var generation = new TextGeneration(model.Vocabulary, new GenerationOptions { IgnoresEndOfTurn = true });
        using (model.Start(tokens, 1, "tuned", "", generation, CancellationToken.None)) await generation.Ended;

        using var goesOn = new ManualResetEventSlim();
        var held = model.Engine.Call(() => { goesOn.Wait(); return true; });
        var saving = model.Moves.SaveAsync(tokens, "tuned", "");
        model.RemoveAdapter("tuned");
        model.AddAdapter(new NamedAdapter("tuned", second));
        goesOn.Set();
        await held;
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(first))), (await saving).About.AdapterSha256);
    }

    [Fact]
    public async Task BadAdapters_AreRefused_AndTheServerGoesOn()
    {
        await using var server = await StartAsync(2);
        var before = await AnswerAsync(server, "starter");
        var good = await File.ReadAllBytesAsync(Write("good.gguf", seed: 3));
        var cases = new (string Path, string Code)[]
        {
            (Path.Combine(_folder, "nowhere.gguf"), "adapter-not-found"),
            (Write("type.gguf", 3, type: GgufType.Q8_0), "gguf-tensor-type"),
            (Write("rank.gguf", 3, otherRank: 2), "adapter-rank"),
            (Write("width.gguf", 3, wider: 8), "adapter-base-mismatch"),
            (Model, "gguf-not-an-adapter"),
            (Bytes("cut.gguf", good[..(good.Length / 2)]), "gguf-truncated"),
            (Bytes("noise.gguf", [.. Enumerable.Range(0, 5_000).Select(i => (byte)(i * 37))]), "gguf-magic"),
            (Models.Family("qwen2", "lora/adapter_final.gguf"), "adapter-base-mismatch"),
        };
        foreach (var (path, code) in cases)
        {
            using var response = await server.Client.PostAsJsonAsync("/internal/adapters", new { name = "bad", path });
            var error = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["error"]!;
            _output.WriteLine($"{Path.GetFileName(path)}: {error["code"]}: {error["message"]}");
            Assert.Equal((HttpStatusCode.BadRequest, code), (response.StatusCode, error["code"]!.ToString().Replace('_', '-')));
        }
        foreach (var name in new[] { "", "starter", "line\nbreak", new string('n', 200) }) Assert.Equal(HttpStatusCode.BadRequest, await AddAsync(server, name, Path.Combine(_folder, "good.gguf")));

        // One that is lost after it was taken fails its own requests.
        Assert.Equal(HttpStatusCode.OK, await AddAsync(server, "lost", Path.Combine(_folder, "good.gguf")));
        File.Delete(Path.Combine(_folder, "good.gguf"));
        Assert.Equal(HttpStatusCode.InternalServerError, await StatusAsync(server, "lost"));
        Assert.Equal(before, await AnswerAsync(server, "starter"));
    }

    [Fact]
    public async Task Adapters_WithoutASecret_CannotBeChanged()
    {
        await using var server = await TestServer.StartAsync(Model);
        Assert.Equal(HttpStatusCode.Forbidden, await AddAsync(server, "tuned", Write("tuned.gguf", seed: 1)));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<TestServer> StartAsync(int maxAdapters, params IReadOnlyList<NamedAdapter> adapters) =>
        TestServer.StartAsync(Model, new LlamaExecutorOptions { ContextTokens = 4096, MaxAdapters = maxAdapters }, secret: Secret, adapters: adapters);

    private static async Task<HttpStatusCode> AddAsync(TestServer server, string name, string path)
    {
        using var response = await server.Client.PostAsJsonAsync("/internal/adapters", new { name, path });
        return response.StatusCode;
    }

    private static async Task<HttpStatusCode> StatusAsync(TestServer server, string model)
    {
        using var response = await server.PostAsync("/v1/completions", Request(model, 1));
        return response.StatusCode;
    }

    private static async Task<string> AnswerAsync(TestServer server, string model, int tokens = 24) =>
        (await server.PostJsonAsync("/v1/completions", Request(model, tokens)))["choices"]![0]!["text"]!.ToString();

    private static string Request(string model, int tokens, bool stream = false) => $$"""{"model":"{{model}}","prompt":"Tell me a story about a fox and the sea.","max_tokens":{{tokens}},"temperature":0,"ignore_eos":true,"stream":{{(stream ? "true" : "false")}}}""";

    /// <summary>What the next events of a stream say, to its end or so many of them.</summary>
    private static async Task<string> TextAsync(StreamReader events, int most = int.MaxValue)
    {
        var text = new StringBuilder();
        for (var count = 0; count < most && await events.ReadLineAsync() is { } line && line != "data: [DONE]";)
        {
            if (line.Length == 0) continue;
            text.Append(JsonNode.Parse(line["data: ".Length..])!["choices"]![0]!["text"]!.ToString());
            count++;
        }
        return text.ToString();
    }

    /// <summary>An adapter for every matrix of the built-in model's layers, with random numbers; or one that is wrong in one way.</summary>
    private string Write(string name, int seed, GgufType type = GgufType.F32, int otherRank = 4, int wider = 0)
    {
        const int rank = 4;
        var random = new Random(seed);
        using var model = GgufFile.Open(Model);
        var writer = new GgufWriter();
        writer.Add("general.architecture", model.Metadata.String("general.architecture"));
        writer.Add("general.type", "adapter");
        writer.Add("adapter.type", "lora");
        writer.Add(GgufAdapter.AlphaKey, (float)rank);
        foreach (var tensor in model.Tensors.Where(t => t.Dimensions.Count == 2 && t.Name.StartsWith("blk.", StringComparison.Ordinal)))
        {
            Add($"{tensor.Name}.lora_a", [tensor.Dimensions[0] + wider, rank]);
            Add($"{tensor.Name}.lora_b", [otherRank, tensor.Dimensions[1]]);
        }
        var path = Path.Combine(_folder, name);
        writer.Save(path);
        return path;

        void Add(string tensor, long[] dimensions)
        {
            // Blocks have 32 numbers a row.
            if (type == GgufType.Q8_0) dimensions = [32, dimensions[1]];
            writer.AddTensor(tensor, dimensions, type, stream =>
            {
                var values = new float[dimensions[0] * dimensions[1]];
                for (var i = 0; i < values.Length; i++) values[i] = (random.NextSingle() - 0.5f) * 0.5f;
                var bytes = new byte[new GgufTensor(tensor, dimensions, type, 0).SizeBytes];
                GgufEncoder.Encode(type, values, bytes);
                stream.Write(bytes);
            });
        }
    }

    private string Bytes(string name, byte[] bytes)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
