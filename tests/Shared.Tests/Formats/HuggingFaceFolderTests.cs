using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared.Formats;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.Formats;

/// <summary>Damage of every kind to the JSON of a folder: an error with a code, never another exception.</summary>
public sealed class HuggingFaceFolderTests : IDisposable
{
    private readonly string _scratch = Directory.CreateTempSubdirectory("tokenmill-").FullName;

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    [Theory]
    [InlineData("golden/inputs/models/safetensors/valid-sharded", "config.json")]
    [InlineData("golden/inputs/models/safetensors/valid-sharded", "tokenizer.json")]
    [InlineData("golden/inputs/models/safetensors/valid-sharded", "tokenizer_config.json")]
    [InlineData("golden/inputs/models/safetensors/valid-sharded", "model.safetensors.index.json")]
    [InlineData("golden/inputs/models/peft/valid", "adapter_config.json")]
    public void Json_AnyValueReplaced_IsAcceptedOrRefusedWithACode(string folder, string name)
    {
        foreach (var file in Directory.EnumerateFiles(Reference.Locate(folder))) File.WriteAllBytes(Path.Combine(_scratch, Path.GetFileName(file)), File.ReadAllBytes(file));
        var target = Path.Combine(_scratch, name);
        var original = File.ReadAllText(target);
        string[] values = ["null", "true", "0", "-1", "1.5", "1e300", "18446744073709551616", "\"\"", "\"../x\"", "\"\\ud800\"", "[]", "[null]", "{}", "[[[]]]"];
        foreach (var path in Paths(JsonNode.Parse(original)!).Take(60))
            foreach (var value in values)
            {
                File.WriteAllText(target, Replace(original, path, value));
                var inspection = ModelInspector.Inspect(_scratch);
                Assert.True(inspection.Accepted || inspection.Errors is [{ Code.Length: > 0, Message.Length: > 0 }]);
            }
        File.WriteAllBytes(target, [.. Encoding.UTF8.GetBytes(original[..^1]), 0xFF, (byte)'}']);
        Assert.False(ModelInspector.Inspect(_scratch).Accepted);
    }

    /// <summary>Paths of all members and elements; long lists by their first few.</summary>
    private static IEnumerable<string[]> Paths(JsonNode node, params string[] path)
    {
        var children = node switch
        {
            JsonObject o => o.Select(p => (p.Key, p.Value)),
            JsonArray a => a.Take(3).Select((v, i) => ($"{i}", v)),
            _ => [],
        };
        foreach (var (key, child) in children.Take(30))
        {
            yield return [.. path, key];
            if (child is not null) foreach (var inner in Paths(child, [.. path, key])) yield return inner;
        }
    }

    private static string Replace(string json, string[] path, string value)
    {
        const string placeholder = "\"@@replaced@@\"";
        var root = JsonNode.Parse(json)!;
        var node = root;
        foreach (var key in path[..^1]) node = node is JsonArray list ? list[int.Parse(key)]! : node[key]!;
        if (node is JsonArray array) array[int.Parse(path[^1])] = "@@replaced@@";
        else node[path[^1]] = "@@replaced@@";
        return root.ToJsonString().Replace(placeholder, value, StringComparison.Ordinal);
    }
}
