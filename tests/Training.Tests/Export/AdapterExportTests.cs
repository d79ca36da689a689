using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Shared.Formats.Safetensors;
using TokenMill.Testing;
using TokenMill.Training.Export;
using TokenMill.Training.Models;

namespace TokenMill.Training.Tests.Export;

/// <summary>Adapters and merged models against files that peft and llama.cpp's converters wrote from the same numbers.</summary>
public sealed class AdapterExportTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public static TheoryData<string> Families => ["llama-tied", "llama-untied", "mistral", "qwen2", "qwen3", "phi3", "smollm3", "gemma3"];

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Theory]
    [MemberData(nameof(Families))]
    public void GgufAdapter_FromPeft_EqualsTheConvertersTensors(string family)
    {
        using var model = GgufFile.Open(Golden(family, "model.gguf"));
        var path = Path.Combine(_scratch, "adapter.gguf");
        GgufAdapterFile.Write(path, AdapterWeights.Load(PeftFolderOf(family), model), model);

        using var ours = GgufAdapter.Read(GgufFile.Open(path));
        using var reference = GgufAdapter.Read(GgufFile.Open(Golden(family, "lora/adapter_final.gguf")));
        ours.CheckFits(model);
        Assert.Equal(reference.Alpha, ours.Alpha);
        Assert.Equal(reference.Pairs.Keys, ours.Pairs.Keys);
        foreach (var tensor in reference.File.Tensors)
        {
            Assert.Equal(tensor.Dimensions, ours.File.Find(tensor.Name)!.Dimensions);
            Assert.Equal(Floats(reference.File, tensor.Name), Floats(ours.File, tensor.Name));
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Peft_FromEitherFormat_IsTheSameAdapterAgain(string family)
    {
        using var model = GgufFile.Open(Golden(family, "model.gguf"));
        foreach (var source in (string[])[PeftFolderOf(family), Golden(family, "lora/adapter_final.gguf")])
        {
            var folder = Path.Combine(_scratch, Guid.NewGuid().ToString("N"));
            PeftFolder.Write(folder, AdapterWeights.Load(source, model), model);

            using var written = PeftAdapter.Open(folder);
            using var original = SafetensorsFile.Open(Golden(family, "lora/adapter_final.safetensors"));
            Assert.Equal((4, 8.0, 2.0), (written.Config.Rank, written.Config.Alpha, written.Config.ScaleOf("any")));
            Assert.Equal(original.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal), written.Weights.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
            Assert.All(original.Tensors, t => Assert.Equal(original.ReadFloats(t), written.Weights.ReadFloats(written.Weights.Find(t.Name)!)));
        }
    }

    [Fact]
    public void Peft_Config_HasTheFieldsThatPeftReads()
    {
        using var model = GgufFile.Open(Golden("llama-tied", "model.gguf"));
        PeftFolder.Write(_scratch, AdapterWeights.Load(PeftFolderOf("llama-tied"), model), model);
        var ours = JsonNode.Parse(File.ReadAllText(Path.Combine(_scratch, PeftConfig.FileName)))!.AsObject();
        var peft = JsonNode.Parse(File.ReadAllText(Golden("llama-tied", "lora/adapter_config.json")))!.AsObject();
        foreach (var (key, value) in ours)
        {
            Assert.True(peft.ContainsKey(key), key);
            if (key == "target_modules") Assert.Equal(peft[key]!.AsArray().Select(t => (string)t!).Order(), value!.AsArray().Select(t => (string)t!).Order());
            else Assert.True(JsonNode.DeepEquals(peft[key], value), $"{key}: {value}");
        }
    }

    /// <summary>W + scale·B·A, recomputed in double from the Hugging Face files, which no code of the exporter touches.</summary>
    [Theory]
    [MemberData(nameof(Families))]
    public void Merged_F32_EqualsBasePlusAdapter(string family)
    {
        using var model = GgufFile.Open(Golden(family, "model.gguf"));
        var path = Path.Combine(_scratch, "merged.gguf");
        GgufModelFile.Write(path, model, ModelTensors.Merge(model, AdapterWeights.Load(PeftFolderOf(family), model)), GgufType.F32);

        using var merged = GgufFile.Open(path);
        using var folder = HuggingFaceFolder.Open(Golden(family, "hf"));
        using var adapter = SafetensorsFile.Open(Golden(family, "lora/adapter_final.safetensors"));
        Assert.True(GgufModel.Check(merged).Servable.Yes);
        Assert.Equal(model.Tensors.Select(t => t.Name), merged.Tensors.Select(t => t.Name));
        AssertSameMetadata(model, merged);

        var worst = 0.0;
        foreach (var tensor in folder.Tensors)
        {
            var expected = Expected(folder, adapter, tensor);
            var name = folder.Config.Family.ToGguf(tensor.Name)!;
            if (merged.Find(name) is null) continue;                             // a tied head that is stored twice
            var actual = Floats(merged, name);
            var heads = name.Contains(".attn_q.", StringComparison.Ordinal) ? folder.Config.Heads : name.Contains(".attn_k.", StringComparison.Ordinal) ? folder.Config.KeyValueHeads : 0;
            if (folder.Config.Family.PermutesQueryAndKey) RotaryOrder.FromGguf(actual, (int)heads, tensor.Shape.Count > 1 ? (int)tensor.Shape[1] : 1);
            if (folder.Config.Family.NormsAddOne && tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal)) actual = [.. actual.Select(v => v - 1)];
            worst = Math.Max(worst, expected.Zip(actual, (e, a) => Math.Abs(e - a)).Max());
        }
        output.WriteLine($"{family}: worst deviation {worst:E1}");
        Assert.InRange(worst, 0, 5e-7);
    }

    [Theory]
    [InlineData(GgufType.F16, 5e-4)]
    [InlineData(GgufType.BF16, 4e-3)]
    [InlineData(GgufType.Q8_0, 6e-3)]
    public void Merged_OtherTypes_AreNearAndLoadable(GgufType type, double tolerance)
    {
        using var model = GgufFile.Open(Golden("smollm3", "model.gguf"));
        var adapter = AdapterWeights.Load(PeftFolderOf("smollm3"), model);
        var exact = ModelTensors.Merge(model, adapter).ToDictionary(t => t.Name, t => t.ReadAll());
        var path = Path.Combine(_scratch, "merged.gguf");
        GgufModelFile.Write(path, model, ModelTensors.Merge(model, adapter), type);

        using var merged = GgufFile.Open(path);
        Assert.True(GgufModel.Check(merged).Trainable.Yes);
        foreach (var tensor in merged.Tensors)
        {
            Assert.Equal(tensor.Dimensions.Count > 1 ? type : GgufType.F32, tensor.Type);
            var largest = exact[tensor.Name].Max(Math.Abs);
            Assert.InRange(exact[tensor.Name].Zip(Floats(merged, tensor.Name), (e, a) => Math.Abs(e - a)).Max(), 0, tolerance * largest);
        }
    }

    [Fact]
    public void Merged_WithoutAdapterInItsOwnType_IsTheSameFileByBytes()
    {
        using var model = GgufFile.Open(Golden("qwen2", "model-f16.gguf"));
        var path = Path.Combine(_scratch, "copy.gguf");
        GgufModelFile.Write(path, model, ModelTensors.Merge(model, null), GgufType.F16);
        using var copy = GgufFile.Open(path);
        foreach (var tensor in model.Tensors)
        {
            var (a, b) = (new MemoryStream(), new MemoryStream());
            model.CopyTo(tensor, a);
            copy.CopyTo(copy.Find(tensor.Name)!, b);
            Assert.True(a.ToArray().AsSpan().SequenceEqual(b.ToArray()), tensor.Name);
        }
    }

    /// <summary>All weights given by Hugging Face's names, as after full fine-tuning or training from random weights.</summary>
    [Theory]
    [InlineData("llama-tied")]
    [InlineData("qwen2")]
    [InlineData("phi3")]
    public void Trained_AllWeights_MakeTheConvertersFileAgain(string family)
    {
        using var model = GgufFile.Open(Golden(family, "model.gguf"));
        using var folder = HuggingFaceFolder.Open(Golden(family, "hf"));
        var weights = folder.Tensors.Select(t => new TrainedWeight(t.Name, [.. t.Shape.Select(d => (int)d)], () => folder.ReadFloats(t.Name))).ToList();
        var (replaced, created) = (Path.Combine(_scratch, "replaced.gguf"), Path.Combine(_scratch, "created.gguf"));
        GgufModelFile.Write(replaced, model, ModelTensors.Replace(model, weights), GgufType.F32);
        var config = ModelConfig.FromGguf(model);
        GgufModelFile.WriteNew(created, config, model.Metadata, "made from nothing", "mit", ModelTensors.Create(config, weights), GgufType.F32);

        foreach (var path in (string[])[replaced, created])
        {
            using var file = GgufFile.Open(path);
            Assert.True(GgufModel.Check(file).Trainable.Yes);
            Assert.All(model.Tensors, t => Assert.Equal(Floats(model, t.Name), Floats(file, t.Name)));
            // A new file has no window: a model from random weights is trained without.
            Assert.Equivalent(config with { Traits = new() }, ModelConfig.FromGguf(file) with { Traits = new() });
        }
    }

    [Fact]
    public void RankStabilised_AlphaInGguf_GivesTheSameScale()
    {
        using var model = GgufFile.Open(Golden("llama-tied", "model.gguf"));
        var adapter = AdapterWeights.Load(PeftFolderOf("llama-tied"), model);
        adapter = adapter with { Config = adapter.Config with { RankStabilised = true } };
        var path = Path.Combine(_scratch, "rslora.gguf");
        GgufAdapterFile.Write(path, adapter, model);

        using var written = GgufAdapter.Read(GgufFile.Open(path));
        Assert.Equal(8 / Math.Sqrt(4), written.Alpha / 4, 1e-6);
        var back = AdapterWeights.Load(path, model);
        Assert.Equal(adapter.Config.ScaleOf(adapter.Modules[0].Module), back.Config.ScaleOf(back.Modules[0].Module), 1e-6);
    }

    [Fact]
    public void Dora_IsMergedByLength_AndRefusedAsGgufAdapter()
    {
        using var model = GgufFile.Open(Golden("llama-tied", "model.gguf"));
        var plain = AdapterWeights.Load(PeftFolderOf("llama-tied"), model);
        var dora = plain with
        {
            Config = plain.Config with { Dora = true },
            Modules = [.. plain.Modules.Select(m => m with { Magnitude = [.. Enumerable.Range(1, m.Outputs).Select(i => (float)i)] })],
        };
        Assert.Equal("adapter-unsupported", Assert.Throws<RefusedException>(() => GgufAdapterFile.Write(Path.Combine(_scratch, "dora.gguf"), dora, model)).Error.Code);

        var folder = Path.Combine(_scratch, "dora");
        PeftFolder.Write(folder, dora, model);
        var merged = ModelTensors.Merge(model, AdapterWeights.Load(folder, model)).Single(t => t.Name == "blk.1.attn_k.weight").ReadAll();
        RotaryOrder.FromGguf(merged, 2, 64);
        for (var row = 0; row < 32; row++) Assert.Equal(row + 1, Math.Sqrt(merged.Skip(row * 64).Take(64).Sum(v => (double)v * v)), 1e-4);
    }

    [Fact]
    public void Adapter_OnATiedHead_IsRefused()
    {
        using var model = GgufFile.Open(Golden("llama-tied", "model.gguf"));
        var adapter = AdapterWeights.Load(PeftFolderOf("llama-tied"), model);
        var onHead = adapter with { Modules = [adapter.Modules[0] with { Module = "lm_head" }] };
        Assert.Equal("adapter-base-mismatch", Assert.Throws<RefusedException>(() => ModelTensors.Merge(model, onHead)).Error.Code);
        Assert.Equal("adapter-base-mismatch", Assert.Throws<RefusedException>(() => GgufAdapterFile.Write(Path.Combine(_scratch, "head.gguf"), onHead, model)).Error.Code);
    }

    private static double[] Expected(HuggingFaceFolder folder, SafetensorsFile adapter, SafetensorsTensor tensor)
    {
        var weight = folder.ReadFloats(tensor.Name).Select(v => (double)v).ToArray();
        var module = tensor.Name.EndsWith(".weight", StringComparison.Ordinal) ? tensor.Name[..^".weight".Length] : "";
        if (adapter.Find(PeftAdapter.TensorName(module, 'A')) is not { } a) return weight;
        var (valuesA, valuesB) = (adapter.ReadFloats(a), adapter.ReadFloats(adapter.Find(PeftAdapter.TensorName(module, 'B'))!));
        var (rank, width) = ((int)a.Shape[0], (int)a.Shape[1]);
        for (var i = 0; i < weight.Length; i++)
            for (var r = 0; r < rank; r++) weight[i] += 2.0 * valuesB[i / width * rank + r] * valuesA[r * width + i % width];
        return weight;
    }

    private static void AssertSameMetadata(GgufFile model, GgufFile written)
    {
        Assert.Equal(model.Metadata.Keys.Order(), written.Metadata.Keys.Order());
        Assert.Equal(model.Metadata.TryInt32s("tokenizer.ggml.token_type"), written.Metadata.TryInt32s("tokenizer.ggml.token_type"));
        Assert.Equal(model.Metadata.Strings("tokenizer.ggml.tokens"), written.Metadata.Strings("tokenizer.ggml.tokens"));
        Assert.Equal(model.Metadata.TryString("tokenizer.chat_template"), written.Metadata.TryString("tokenizer.chat_template"));
    }

    private string PeftFolderOf(string family)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_scratch, "peft-" + family)).FullName;
        File.WriteAllBytes(Path.Combine(folder, PeftConfig.FileName), File.ReadAllBytes(Golden(family, "lora/adapter_config.json")));
        File.WriteAllBytes(Path.Combine(folder, PeftAdapter.WeightsName), File.ReadAllBytes(Golden(family, "lora/adapter_final.safetensors")));
        return folder;
    }

    private static string Golden(string family, string file) => Reference.Locate($"golden/families/{family}/{file}");

    private static float[] Floats(GgufFile file, string name)
    {
        var tensor = file.Find(name)!;
        var values = new float[tensor.Elements];
        file.ReadFloats(tensor, values);
        return values;
    }
}
