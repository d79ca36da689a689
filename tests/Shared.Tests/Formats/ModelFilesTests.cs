using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats;

/// <summary>Verdicts on sound, damaged and hostile model files, against a manifest of what a sensible product says.</summary>
public sealed class ModelFilesTests(ITestOutputHelper output) : IDisposable
{
    private const long MaxBytesToRefuse = 100 << 20;

    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Fact]
    public void Manifest_EveryModel_GetsTheVerdictWithCodeAndField_InLittleMemory()
    {
        var folder = Reference.Locate("golden/inputs");
        var failures = new List<string>();
        var cases = 0;
        foreach (var entry in Entries(folder))
        {
            cases++;
            var path = Path.Combine(folder, (string)entry["file"]!);
            if (entry["generate"] is { } generate) path = new GeneratedInput(JsonSerializer.SerializeToElement(generate)).WriteTo(_scratch, path);
            var watch = Stopwatch.StartNew();
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var inspection = ModelInspector.Inspect(path, entry["with"] is { } with ? Path.Combine(folder, (string)with!) : null);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            if (!inspection.Accepted && allocated > MaxBytesToRefuse) failures.Add($"{entry["file"]}: {allocated} bytes allocated to refuse it");
            if (watch.ElapsedMilliseconds > 500) output.WriteLine($"{entry["file"]}: {watch.ElapsedMilliseconds} ms");
            if (entry["generate"] is not null) File.Delete(path);
            if (Mismatch(entry["expect"]!, inspection) is { } mismatch) failures.Add($"{entry["file"]}: {mismatch}: {inspection}: {string.Join(' ', inspection.Errors)} {string.Join(' ', inspection.Warnings)}");
        }
        output.WriteLine($"{cases} files");
        Assert.True(failures.Count == 0, string.Join("\n", failures));
    }

    [Fact]
    public void Mutations_OfASoundFile_AreRefusedWhereTheyMustBe()
    {
        var folder = Reference.Locate("golden/inputs");
        var path = Path.Combine(_scratch, "mutation.gguf");
        var wrong = new List<string>();
        int cases = 0, sameCode = 0;
        foreach (var line in File.ReadLines(Path.Combine(folder, "mutations.jsonl")))
        {
            cases++;
            var mutation = JsonNode.Parse(line)!;
            File.WriteAllBytes(path, Mutated(folder, mutation));
            var inspection = ModelInspector.Inspect(path);
            if ((string)mutation["expect"]! == "refuse" && inspection.Accepted) wrong.Add(line);
            if ((string?)mutation["code"] == inspection.Errors.FirstOrDefault()?.Code) sameCode++;
        }
        output.WriteLine($"{cases} mutations, {sameCode} with the very code that the manifest names");
        Assert.Empty(wrong);
        Assert.True(sameCode > cases * 0.85);
    }

    [Fact]
    public void Families_InBothFormats_AreAcceptedAndServable()
    {
        foreach (var family in Directory.EnumerateDirectories(Reference.Locate("golden/families")))
        {
            var golden = JsonNode.Parse(File.ReadAllText(Path.Combine(family, "golden.json")))!;
            foreach (var model in (string[])["model.gguf", "model-f16.gguf", "hf"])
            {
                var inspection = ModelInspector.Inspect(Path.Combine(family, model));
                Assert.True(inspection.Accepted, $"{family}/{model}: {string.Join(' ', inspection.Errors)}");
                Assert.Equal((long)golden["parameters"]!, inspection.Parameters);
                Assert.True(inspection.ChatTemplate);
                Assert.True(model == "hf" || inspection.Servable.Yes && inspection.Trainable.Yes == GgufModel.TrainableArchitectures.Contains(inspection.Architecture!), $"{inspection}");
            }
        }
    }

    [Fact]
    public void Adapters_OfEveryFamily_FitTheirBaseInBothFormats_AndNoOther()
    {
        foreach (var family in Directory.EnumerateDirectories(Reference.Locate("golden/families")))
        {
            var peft = Directory.CreateDirectory(Path.Combine(_scratch, Path.GetFileName(family))).FullName;
            File.Copy(Path.Combine(family, "lora", "adapter_config.json"), Path.Combine(peft, PeftConfig.FileName));
            File.Copy(Path.Combine(family, "lora", "adapter_final.safetensors"), Path.Combine(peft, PeftAdapter.WeightsName));
            foreach (var (adapter, model) in ((string, string)[])[(peft, "hf"), (peft, "model.gguf"), (Path.Combine(family, "lora", "adapter_final.gguf"), "model.gguf")])
            {
                var inspection = ModelInspector.Inspect(adapter, Path.Combine(family, model));
                Assert.True(inspection is { Accepted: true, Servable.Yes: true, Rank: 4, Alpha: 8 }, $"{adapter} on {model}: {inspection} {string.Join(' ', inspection.Errors)}");
            }
            var other = Path.Combine(family, "..", family.EndsWith("phi3", StringComparison.Ordinal) ? "gemma3" : "phi3", "model.gguf");
            Assert.False(ModelInspector.Inspect(peft, other).Accepted);
            Assert.False(ModelInspector.Inspect(Path.Combine(family, "lora", "adapter_final.gguf"), other).Accepted);
        }
    }

    [Fact]
    public void Inspect_NothingThere_IsRefused() =>
        Assert.Equal("model-not-found", Assert.Throws<RefusedException>(() => ModelInspector.Inspect(Path.Combine(_scratch, "none.gguf"))).Error.Code);

    private static IEnumerable<JsonNode> Entries(string folder) =>
        File.ReadLines(Path.Combine(folder, "manifest.jsonl")).Select(l => JsonNode.Parse(l)!).Where(e => (string?)e["format"] is "gguf" or "safetensors" or "peft");

    /// <summary>null where the inspection is what is expected, or one of the alternatives.</summary>
    private static string? Mismatch(JsonNode expected, ModelInspection inspection)
    {
        if (inspection.Accepted != (bool)expected["accepted"]!)
            return expected["alt"]?.AsArray().Any(a => (bool)a!["accepted"]! == inspection.Accepted) == true ? null : $"accepted is {inspection.Accepted}";
        foreach (var error in expected["errors"]?.AsArray() ?? [])
        {
            string[] codes = [(string)error!["code"]!, .. error["also"]?.AsArray().Select(c => (string)c!) ?? []];
            var found = inspection.Errors.FirstOrDefault(e => codes.Contains(e.Code));
            if (found is null) return $"no error of {string.Join('|', codes)}";
            if ((string?)error["field"] is { } field && found.Field != field) return $"field {found.Field} instead of {field}";
        }
        foreach (var warning in expected["warnings"]?.AsArray() ?? [])
            if (!inspection.Warnings.Any(w => w.Code == (string)warning!["code"]! && w.Field == (string?)warning["field"])) return $"no warning {warning}";
        return null;
    }

    private static byte[] Mutated(string folder, JsonNode mutation)
    {
        var bytes = File.ReadAllBytes(Path.Combine(folder, (string)mutation["base"]!));
        if (mutation["cut"] is { } cut) return bytes[..(int)cut];
        foreach (var patch in mutation["patches"]!.AsArray()) Convert.FromHexString((string)patch![1]!).CopyTo(bytes, (int)patch[0]!);
        return bytes;
    }
}
