using System.Text.Json.Nodes;
using TokenMill.Serving.LoadTest;

namespace TokenMill.Benchmarks.Serving;

/// <summary>A server in the comparison, and what it is asked. The same words go to each.</summary>
internal sealed class Contender(string name, Uri address, string model, Action<JsonObject, int>? useAdapter = null) : IDisposable
{
    public string Name { get; } = name;
    public Uri Address { get; } = address;
    public string Model { get; } = model;
    public LoadClient Client { get; } = new(address, Environment.GetEnvironmentVariable("OPENAI_API_KEY"), TimeProvider.System);

    public static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };

    /// <summary>A streamed, greedy answer of exactly so many tokens.</summary>
    public async Task<RequestTimes> AskAsync(JsonArray messages, int tokens, int? adapter = null)
    {
        var body = new JsonObject
        {
            ["model"] = Model, ["messages"] = messages, ["stream"] = true, ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["max_tokens"] = tokens, ["temperature"] = 0, ["ignore_eos"] = true,
        };
        if (adapter is { } number) (useAdapter ?? throw new InvalidOperationException($"{Name} was started without adapters"))(body, number);
        return await Client.AskAsync(body, Client.Now, CancellationToken.None);
    }

    public Task<RequestTimes> AskAsync(string prompt, int tokens, int? adapter = null) => AskAsync([Message("user", prompt)], tokens, adapter);

    public void Dispose() => Client.Dispose();
}
