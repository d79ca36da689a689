using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.JsonLines;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>What people and attackers give a trainer: refused before a step is made, with code, place and remedy, or trained.</summary>
public sealed class HostileInputTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    private const string Inputs = "golden/inputs";

    private int _runs;

    [Theory]
    [InlineData("""{"batch_size":"many"}""", "batch_size: \"many\" is not a whole number")]
    [InlineData("""{"batch_size":2.5}""", "batch_size: 2.5 is not a whole number")]
    [InlineData("""{"batch_size":0}""", "batch_size: 0 is not from 1 to 65536")]
    [InlineData("""{"batch_size":65536,"accumulation":65536}""", "accumulation: 65536 times batch_size 65536 is not at most")]
    [InlineData("""{"learning_rate":1e-4}""", "learning_rate: there is no such field")]
    [InlineData("""{"adapter":{"ranks":4}}""", "adapter.ranks: there is no such field")]
    [InlineData("""{"adapter":{"rank":-4}}""", "adapter.rank: -4 is not from 1 to 4096")]
    [InlineData("""{"adapter":null}""", "adapter: null is no value here")]
    [InlineData("""{"data":[null]}""", "data[0]: null is not")]
    [InlineData("""{"data":[]}""", "data: at least one file is needed")]
    [InlineData("""{"data":[{"path":"/nowhere/at/all.jsonl"}]}""", "data[0].path: /nowhere/at/all.jsonl does not exist")]
    [InlineData("""{"data":[{"format":"messages"}]}""", "path: missing, and needed")]
    [InlineData("""{"method":"magic"}""", "method: \"magic\" is not one of sft, pretrain, dpo")]
    [InlineData("""{"optimizer":{"learning_rate":-0.5}}""", "optimizer.learning_rate: -0.5 is not more than 0")]
    [InlineData("""{"optimizer":{"betas":[0.9,1]}}""", "optimizer.betas: [0.9, 1] are not two numbers from 0 to less than 1")]
    [InlineData("""{"schedule":{"name":"spiral"}}""", "schedule.name: 'spiral' is not constant, linear or cosine")]
    [InlineData("""{"checkpoint":{"keep":0}}""", "checkpoint.keep: 0 is not at least 1")]
    [InlineData("""{"max_length":1}""", "max_length: 1 is not at least 2")]
    [InlineData("""{"shuffle":"no"}""", "shuffle: \"no\" is not true or false")]
    [InlineData("""{"model":17}""", "model: ")]
    [InlineData("""{"model":"/nowhere.gguf"}""", "model: /nowhere.gguf does not exist")]
    [InlineData("""{"version":2}""", "version: 2 is not 1")]
    public void SpecMistake_NamesFieldValueAndRange(string change, string expected)
    {
        var error = Refusal(fixture.Spec("mistake", spec => { foreach (var (name, value) in JsonNode.Parse(change)!.AsObject().ToList()) spec[name] = value?.DeepClone(); }));
        Assert.Equal("bad-spec", error.Code);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(fixture.Path("mistake")));
    }

    [Theory]
    [InlineData("", "line 1: not JSON")]
    [InlineData("{\n\"model\": \"m\",\n\"output\" \"o\"}", "line 3: not JSON")]
    [InlineData("{}", "missing, and needed")]
    [InlineData("[]", "")]
    [InlineData("null", "")]
    [InlineData("""{"output":"a","output":"b"}""", "output: stands there twice")]
    public void SpecThatIsNone_IsRefused(string text, string expected)
    {
        var error = Assert.Throws<RefusedException>(() => FineTuneSpec.Parse(text)).Error;
        output.WriteLine($"{error}");
        Assert.Equal("bad-spec", error.Code);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryModelOfTheManifest_IsTrainedOrRefused_AsItSays()
    {
        var folder = Reference.Locate(Inputs);
        var rows = fixture.File("ids.jsonl", Enumerable.Range(1, 8).Select(i => $$"""{"ids":[{{i}},{{i + 1}},{{i + 2}}],"labels":[-100,{{i + 1}},{{i + 2}}]}"""));
        var wrong = new List<string>();
        var (trained, refused) = (0, 0);
        foreach (var entry in Entries(folder, "gguf", "safetensors", "peft"))
        {
            var (path, accepted) = (Path.Combine(folder, (string)entry["file"]!), (bool)entry["expect"]!["accepted"]!);
            var isAdapter = (string)entry["format"]! == "peft";
            var specText = Spec(spec =>
            {
                (spec["model"], spec["max_steps"], spec["export"]) = (isAdapter ? Path.Combine(folder, (string)entry["with"]!) : path, 1, new JsonArray());
                spec["data"] = new JsonArray(new JsonObject { ["path"] = rows, ["format"] = "tokens" });
                if (isAdapter) spec["adapter"]!["init"] = path;
            });
            var (error, steps) = Outcome(specText);
            if (error is null) trained++;
            else refused++;
            // A sound model of a kind that is not trained may be refused too, by a code of its own.
            var mayBe = accepted || entry["expect"]!["alt"] is JsonArray others && others.Any(o => (bool?)o!["accepted"] == true);
            if (error is null ? !mayBe : accepted && error.Code is not ("architecture-not-trainable" or "model-not-trainable")) wrong.Add($"{entry["file"]}: {error?.ToString() ?? "trained"}");
            if (error is not null && (steps > 0 || error.Remedy.Length == 0)) wrong.Add($"{entry["file"]}: {steps} steps, then {error}");
            if (error is not null && !accepted && !Codes(entry).Contains(error.Code)) output.WriteLine($"{entry["file"]}: {error.Code} for {string.Join('/', Codes(entry))}");
        }
        output.WriteLine($"{trained} trained, {refused} refused");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(trained > 15 && refused > 90);
    }

    [Fact]
    public void DamagedModels_AreTrainedOrRefused_AndNeverCrash()
    {
        var folder = Reference.Locate(Inputs);
        var rows = fixture.File("few-ids.jsonl", ["""{"ids":[1,2,3],"labels":[-100,2,3]}"""]);
        var (trained, refused) = (0, 0);
        foreach (var mutation in File.ReadLines(Path.Combine(folder, "mutations.jsonl")).Select(line => JsonNode.Parse(line)!))
        {
            var bytes = File.ReadAllBytes(Path.Combine(folder, (string)mutation["base"]!));
            if (mutation["cut"] is { } cut) bytes = bytes[..(int)cut];
            else foreach (var patch in mutation["patches"]!.AsArray()) Convert.FromHexString((string)patch![1]!).CopyTo(bytes, (int)patch[0]!);
            File.WriteAllBytes(fixture.Path("damaged.gguf"), bytes);
            var (error, _) = Outcome(Spec(spec =>
            {
                (spec["model"], spec["max_steps"], spec["export"]) = (fixture.Path("damaged.gguf"), 1, new JsonArray());
                spec["data"] = new JsonArray(new JsonObject { ["path"] = rows, ["format"] = "tokens" });
            }));
            if (error is null) trained++;
            else refused++;
            Assert.True(error is not null || (string)mutation["expect"]! == "any", $"{mutation["what"]}: trained");
        }
        output.WriteLine($"{trained} trained, {refused} refused");
        Assert.True(refused > 200);
    }

    [Fact]
    public void EveryDatasetOfTheManifest_IsTrainedOrRefused_AsItSays()
    {
        var folder = Reference.Locate(Inputs);
        var wrong = new List<string>();
        var (trained, refused) = (0, 0);
        foreach (var entry in Entries(folder, [.. DatasetReader.Formats]))
        {
            var (path, format, accepted) = (Path.Combine(folder, (string)entry["file"]!), (string)entry["format"]!, (bool)entry["expect"]!["accepted"]!);
            var specText = Spec(spec =>
            {
                (spec["method"], spec["max_steps"], spec["max_length"], spec["export"]) = (format.StartsWith("preference", StringComparison.Ordinal) ? "dpo" : format == "text" ? "pretrain" : "sft", 1, 256, new JsonArray());
                var data = new JsonObject { ["path"] = path, ["format"] = format };
                if (entry["options"]?["mapping"] is JsonObject mapping) data["map"] = new JsonObject(mapping.Select(m => KeyValuePair.Create((string)m.Value!, (JsonNode?)m.Key)));
                spec["data"] = new JsonArray(data);
            });
            var (error, steps) = Outcome(specText);
            if (error is null) trained++;
            else refused++;
            var allowed = accepted || entry["expect"]!["alt"] is JsonArray others && others.Any(o => (bool?)o!["accepted"] == true);
            var required = accepted && entry["expect"]!["alt"] is null;
            if (error is null && !allowed || error is not null && required && error.Code is not ("template-refused" or "no-training-rows")) wrong.Add($"{entry["file"]}: {error?.ToString() ?? "trained"}");
            if (error is not null && (steps > 0 || error.Remedy.Length == 0)) wrong.Add($"{entry["file"]}: {steps} steps, then {error}");
        }
        output.WriteLine($"{trained} trained, {refused} refused");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(trained > 50 && refused > 20);
    }

    [Theory]
    [InlineData("nothing supervised", "nothing-supervised", "row 2")]
    [InlineData("all too long", "no-training-rows", "max_length")]
    [InlineData("unknown token", "unknown-token", "row 3")]
    [InlineData("pairs for sft", "not-sequences", "row 1")]
    [InlineData("rows for dpo", "not-preferences", "row 1")]
    public void Data_ThatTeachNothing_AreRefusedBeforeAStep(string what, string code, string place)
    {
        string Row(int id, bool supervised = true) => $$"""{"ids":[5,{{id}},7],"labels":[-100,-100,{{(supervised ? 7 : -100)}}]}""";
        const string pair = """{"chosen":{"ids":[5,6],"labels":[-100,6]},"rejected":{"ids":[5,7],"labels":[-100,7]}}""";
        var path = fixture.File($"{code}.jsonl", what switch
        {
            "nothing supervised" => [Row(6), Row(7, supervised: false), Row(8)],
            "unknown token" => [Row(6), Row(7), Row(999_999)],
            "pairs for sft" => [pair],
            _ => [Row(6), Row(7)],
        });
        var error = Refusal(Spec(spec =>
        {
            spec["data"] = new JsonArray(new JsonObject { ["path"] = path, ["format"] = "tokens" });
            if (what == "rows for dpo") spec["method"] = "dpo";
            if (what == "all too long") (spec["max_length"], spec["overflow"]) = (2, "drop");
        }));
        output.WriteLine($"{error}");
        Assert.Equal(code, error.Code);
        Assert.Contains(place, $"{error}", StringComparison.Ordinal);
        Assert.NotEmpty(error.Remedy);
    }

    [Theory]
    [InlineData("unknown tensor")]
    [InlineData("wrong dtype")]
    [InlineData("other vocabulary")]
    [InlineData("other base")]
    public void Model_OrAdapter_ThatDoesNotFit_IsRefusedBeforeAStep(string what)
    {
        var path = fixture.Path(what.Replace(' ', '-') + ".gguf");
        using (var file = GgufFile.Open(fixture.Model))
        {
            var writer = new GgufWriter();
            writer.CopyPairs(file.Metadata);
            foreach (var tensor in file.Tensors)
                writer.AddTensor(tensor.Name, tensor.Name == "token_embd.weight" && what == "other vocabulary" ? [tensor.Dimensions[0], tensor.Dimensions[1] - 8] : tensor.Dimensions,
                    what == "wrong dtype" && tensor.Name == "output_norm.weight" ? GgufType.F16 : tensor.Type, stream =>
                    {
                        using var bytes = new MemoryStream();
                        file.CopyTo(tensor, bytes);
                        var kept = tensor.Name == "token_embd.weight" && what == "other vocabulary" ? bytes.Length - 8 * bytes.Length / tensor.Dimensions[1] : what == "wrong dtype" && tensor.Name == "output_norm.weight" ? bytes.Length / 2 : bytes.Length;
                        stream.Write(bytes.GetBuffer(), 0, (int)kept);
                    });
            if (what == "unknown tensor") writer.AddTensor("blk.0.attn_secret.weight", [4], GgufType.F32, stream => stream.Write(new byte[16]));
            writer.Save(path);
        }
        var error = Refusal(Spec(spec =>
        {
            if (what == "other base") spec["adapter"]!["init"] = Path.Combine(Reference.Locate(Inputs), "models/peft/valid");
            else spec["model"] = path;
        }));
        output.WriteLine($"{what}: {error}");
        Assert.NotEmpty(error.Remedy);
    }

    private string Spec(Action<JsonObject> change) => fixture.Spec($"run-{Interlocked.Increment(ref _runs)}-{Guid.NewGuid():N}", change);

    private static Error Refusal(string specText)
    {
        var (error, steps) = Outcome(specText);
        Assert.NotNull(error);
        Assert.Equal(0, steps);
        return error;
    }

    private static (Error? Error, int Steps) Outcome(string specText)
    {
        var steps = 0;
        try
        {
            RunFixture.Run(specText, onEvent: (e, _) => { if (e is StepEvent) steps++; });
            return (null, steps);
        }
        catch (RefusedException e)
        {
            return (e.Error, steps);
        }
    }

    private static IEnumerable<JsonNode> Entries(string folder, params string[] formats) =>
        File.ReadLines(Path.Combine(folder, "manifest.jsonl")).Select(line => JsonNode.Parse(line)!).Where(e => formats.Contains((string?)e["format"]) && e["generate"] is null);

    private static IEnumerable<string> Codes(JsonNode entry) =>
        entry["expect"]!["errors"]!.AsArray().SelectMany(e => new[] { (string)e!["code"]! }.Concat(e["also"]?.AsArray().Select(also => (string)also!) ?? []));
}
