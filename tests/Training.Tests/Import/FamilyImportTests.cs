using System.Text.Json.Nodes;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Llama;
using TokenMill.Testing;
using TokenMill.Training.Import;
using TokenMill.Training.Tests.Golden;

namespace TokenMill.Training.Tests.Import;

/// <summary>Folders of every family become the file that llama.cpp's converter makes of them, and its vocabulary cuts texts as the original does.</summary>
public sealed class FamilyImportTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("import").FullName;

    public static TheoryData<string> Families => ["llama-tied", "llama-untied", "mistral", "qwen2", "qwen3", "gemma3", "phi3", "smollm3"];

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Theory, MemberData(nameof(Families))]
    public void Folder_BecomesTheConvertersFile(string family)
    {
        var path = Import(family);
        using var ours = GgufFile.Open(path);
        using var theirs = GgufFile.Open(Reference.Locate($"golden/families/{family}/model.gguf"));
        Assert.Equal(theirs.Tensors.Select(t => t.Name).Order(), ours.Tensors.Select(t => t.Name).Order());
        foreach (var tensor in theirs.Tensors)
        {
            Assert.Equal(tensor.Dimensions, ours.Find(tensor.Name)!.Dimensions);
            Assert.Equal(Floats(theirs, tensor.Name), Floats(ours, tensor.Name));
        }
        // A label of theirs, and what says how the file is stored.
        foreach (var key in theirs.Metadata.Keys.Except(["general.name", "general.size_label", "general.file_type", "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.add_sep_token"]))
            Assert.True(ours.Metadata.Has(key) && Convert.ToHexString(theirs.Metadata.Raw(key).Bytes) == Convert.ToHexString(ours.Metadata.Raw(key).Bytes), key);
        output.WriteLine($"{family}: {theirs.Tensors.Count} tensors equal; of our own {string.Join(", ", ours.Metadata.Keys.Except(theirs.Metadata.Keys))}");
    }

    [Theory, MemberData(nameof(Families))]
    public void Folder_CutsTextsAsTheOriginal(string family)
    {
        var golden = JsonNode.Parse(File.ReadAllText(Reference.Locate($"golden/families/{family}/golden.json")))!;
        var unequal = golden["llama_cpp"]!["tokenizer_disagrees_on"]!.AsArray().Select(text => text!.ToString()).ToList();
        using var vocabulary = LlamaVocabulary.Load(Import(family));
        foreach (var @case in golden["tokenizer"]!["texts"]!.AsArray())
        {
            var text = @case!["text"]!.ToString();
            if (!text.IsNormalized() && unequal.Count > 0) continue;     // llama.cpp composes nothing
            Assert.Equal(@case["ids"].Ints(), vocabulary.Tokenize(text));
            Assert.Equal(@case["ids_with_special"].Ints(), vocabulary.Tokenize(text, addSpecial: true));
        }
        var chat = golden["tokenizer"]!["chat"]!;
        Assert.Equal(chat["ids_for_generation"].Ints(), vocabulary.Tokenize(chat["rendered_for_generation"]!.ToString()));
    }

    private string Import(string family)
    {
        var path = Path.Combine(_scratch, $"{family}.gguf");
        ModelImport.Run(Reference.Locate($"golden/families/{family}/hf"), path, null, TestContext.Current.CancellationToken);
        return path;
    }

    private static float[] Floats(GgufFile file, string name)
    {
        var tensor = file.Find(name)!;
        var values = new float[tensor.Elements];
        file.ReadFloats(tensor, values);
        return values;
    }
}
