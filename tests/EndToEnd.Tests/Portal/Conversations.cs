using System.Text.Json;

namespace TokenMill.EndToEnd.Tests.Portal;

/// <summary>A file of short conversations as a person would drop it: one of its rows is broken.</summary>
internal static class Conversations
{
    public const int Rows = 60, BrokenRow = 30;

    private static readonly string[] s_things = ["kettle", "window", "garden", "ladder", "basket", "candle", "bridge", "pencil", "blanket", "hammer"];
    private static readonly string[] s_places = ["kitchen", "shed", "hall", "cellar", "attic", "yard"];

    public static async Task<string> WriteAsync(string folder)
    {
        var path = Path.Combine(folder, "household.jsonl");
        await File.WriteAllLinesAsync(path, Enumerable.Range(1, Rows).Select(Row));
        return path;
    }

    private static string Row(int number)
    {
        if (number == BrokenRow) return """{"messages": [{"role": "user", "content": "Where is""";
        var (thing, place) = (s_things[number % s_things.Length], s_places[number % s_places.Length]);
        return JsonSerializer.Serialize(new
        {
            messages = new[]
            {
                new { role = "user", content = $"Where is the {thing} number {number}?" },
                new { role = "assistant", content = $"The {thing} number {number} is in the {place}, on the shelf beside the door." },
            },
        });
    }
}
