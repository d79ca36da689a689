using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Testing;
using TokenMill.Training.Import;

namespace TokenMill.Training.Tests.Import;

/// <summary>What cannot be imported is refused with its name, and nothing is left behind.</summary>
public sealed class RefusedModelTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("import").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    public static TheoryData<string, string, string> Mistakes => new()
    {
        { "config.json", """{"model_type": "mixtral", "num_local_experts": 8}""", "mixture of experts" },
        { "config.json", """{"model_type": "gemma3", "vision_config": {}}""", "images" },
        { "config.json", """{"model_type": "bert", "architectures": ["BertForMaskedLM"]}""", "no decoder" },
        { "config.json", """{"model_type": "something-new"}""", "something-new" },
        { "config.json", """{"quantization_config": {"quant_method": "gptq"}}""", "gptq" },
        { "config.json", """{"hidden_act": "relu"}""", "relu" },
        { "config.json", """{"rope_parameters": {"rope_type": "made-up"}}""", "made-up" },
        { "config.json", """{"partial_rotary_factor": 0.5}""", "rotation of 0.5" },
        { "tokenizer.json", """{"model": {"type": "Unigram"}}""", "Unigram" },
        { "tokenizer.json", """{"normalizer": {"type": "Lowercase"}}""", "Lowercase" },
        { "tokenizer.json", """{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Isolated"}, {"type": "ByteLevel", "use_regex": false}]}}""", "smollm" },
        { "tokenizer.json", """{"pre_tokenizer": {"type": "Whitespace"}}""", "byte fallback" },
    };

    [Theory, MemberData(nameof(Mistakes))]
    public void Folder_WithWhatIsNotSupported_IsRefusedWithItsName(string file, string change, string named)
    {
        var folder = Path.Combine(_scratch, "model");
        Directory.CreateDirectory(folder);
        foreach (var original in Directory.EnumerateFiles(Reference.Locate("golden/families/llama-tied/hf"))) File.Copy(original, Path.Combine(folder, Path.GetFileName(original)));
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, file)))!.AsObject();
        Merge(json, JsonNode.Parse(change)!.AsObject());
        File.WriteAllText(Path.Combine(folder, file), json.ToJsonString());

        var target = Path.Combine(_scratch, "out.gguf");
        var refused = Assert.Throws<RefusedException>(() => ModelImport.Run(folder, target, null, TestContext.Current.CancellationToken));
        output.WriteLine($"{refused.Error.Code}: {refused.Error.Message}; {refused.Error.Remedy}");
        Assert.Contains(named, $"{refused.Error.Message} {refused.Error.Remedy}", StringComparison.Ordinal);
        Assert.NotEmpty(refused.Error.Remedy);
        Assert.Equal([folder], Directory.EnumerateFileSystemEntries(_scratch));
    }

    [Fact]
    public void Models_OfTheReference_AreTakenOrRefusedAsTheirManifestSays()
    {
        var root = Reference.Locate("golden/inputs");
        var wrong = new List<string>();
        foreach (var line in File.ReadLines(Path.Combine(root, "manifest.jsonl")))
        {
            var entry = JsonNode.Parse(line)!;
            var file = entry["file"]!.ToString();
            if (!file.StartsWith("models/", StringComparison.Ordinal) || entry["format"]!.ToString() is not ("gguf" or "safetensors") || entry["kind"]!.ToString().Contains("adapter", StringComparison.Ordinal)) continue;
            var accepted = true;
            try
            {
                ModelImport.Run(Path.Combine(root, file), Path.Combine(_scratch, "out.gguf"), null, TestContext.Current.CancellationToken);
            }
            catch (RefusedException)
            {
                accepted = false;
            }
            if (accepted != (bool)entry["expect"]!["accepted"]!) wrong.Add($"{file}: {(accepted ? "accepted" : "refused")}");
        }
        Assert.Empty(wrong);
    }

    private static void Merge(JsonObject target, JsonObject change)
    {
        foreach (var (name, value) in change)
            if (value is JsonObject inner && target[name] is JsonObject existing && name != "pre_tokenizer") Merge(existing, inner);
            else target[name] = value?.DeepClone();
    }
}
