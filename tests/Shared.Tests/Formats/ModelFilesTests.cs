using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Formats.Gguf;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats;

/// <summary>Verdicts on sound, damaged and hostile model files.</summary>
public sealed class ModelFilesTests(ITestOutputHelper output)
{
    [Fact]
    public void Mutations_OfASoundFile_AreRefusedWhereTheyMustBe()
    {
        var folder = Reference.Locate("golden/inputs");
        var path = Path.Combine(Path.GetTempPath(), $"mutation-{Guid.NewGuid():N}.gguf");
        var wrong = new List<string>();
        var otherCode = new List<string>();
        try
        {
            foreach (var line in File.ReadLines(Path.Combine(folder, "mutations.jsonl")))
            {
                var mutation = JsonNode.Parse(line)!;
                File.WriteAllBytes(path, Mutated(folder, mutation));
                var refusal = Refusal(path);
                if ((string)mutation["expect"]! == "refuse" && refusal is null) wrong.Add(line);
                if ((string)mutation["expect"]! == "any") output.WriteLine($"{refusal} {line}");
                if (refusal is not null && (string?)mutation["code"] is { } code && code != refusal.Code) otherCode.Add($"{refusal} instead of {line}");
            }
        }
        finally
        {
            File.Delete(path);
        }
        foreach (var line in otherCode) output.WriteLine(line);
        Assert.Empty(wrong);
    }

    [Fact]
    public void Families_AllOfThem_CanBeServedAndTrained()
    {
        foreach (var path in Directory.EnumerateFiles(Reference.Locate("golden/families"), "model*.gguf", SearchOption.AllDirectories))
        {
            using var file = GgufFile.Open(path);
            var model = GgufModel.Check(file);
            Assert.True(model.Servable.Yes, model.Servable.Why);
            Assert.True(model.Trainable.Yes, model.Trainable.Why);
        }
    }

    private static Error? Refusal(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            GgufModel.Check(file);
            return null;
        }
        catch (RefusedException e)
        {
            return e.Error;
        }
    }

    private static byte[] Mutated(string folder, JsonNode mutation)
    {
        var bytes = File.ReadAllBytes(Path.Combine(folder, (string)mutation["base"]!));
        if (mutation["cut"] is { } cut) return bytes[..(int)cut];
        foreach (var patch in mutation["patches"]!.AsArray()) Convert.FromHexString((string)patch![1]!).CopyTo(bytes, (int)patch[0]!);
        return bytes;
    }
}
