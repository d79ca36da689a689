using System.Text.Json.Nodes;

namespace TokenMill.Training.Tests.Golden;

internal static class JsonNumbers
{
    public static int[] Ints(this JsonNode? node) => [.. node!.AsArray().Select(value => (int)value!)];

    public static double[] Doubles(this JsonNode? node) => [.. node!.AsArray().Select(value => (double)value!)];

    /// <summary>All objects with "ids" anywhere in a document.</summary>
    public static IEnumerable<JsonObject> Cases(this JsonNode? node) => node switch
    {
        JsonObject @object when @object.ContainsKey("ids") => [@object],
        JsonObject @object => @object.SelectMany(pair => pair.Value.Cases()),
        JsonArray array => array.SelectMany(Cases),
        _ => [],
    };
}
