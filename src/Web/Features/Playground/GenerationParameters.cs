using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Web.Gateway;

namespace TokenMill.Web.Features.Playground;

/// <summary>What a person may set for an answer; the names are the API's.</summary>
public sealed record GenerationParameters
{
    public int Version { get; init; } = 1;
    public double Temperature { get; init; } = 0.7;
    public double TopP { get; init; } = 0.95;
    public int MaxTokens { get; init; } = 512;
    public long? Seed { get; init; }

    public Error? Check() => this switch
    {
        { Temperature: not (>= 0 and <= 2) } => new Error("temperature-out-of-range", $"A temperature of {Temperature} is not possible", "choose 0 (always the likeliest word) to 2"),
        { TopP: not (> 0 and <= 1) } => new Error("top-p-out-of-range", $"A top-p of {TopP} is not possible", "choose more than 0, up to 1"),
        { MaxTokens: < 1 or > 32_768 } => new Error("max-tokens-out-of-range", $"{MaxTokens} tokens are not possible", "choose 1 to 32,768"),
        _ => null,
    };

    /// <summary>The body of the engine's chat request.</summary>
    public JsonObject Request(string? engineModel, JsonArray messages)
    {
        var request = new JsonObject
        {
            ["messages"] = messages,
            ["temperature"] = Temperature,
            ["top_p"] = TopP,
            ["max_tokens"] = MaxTokens,
            ["reasoning_format"] = "none",
            ["stream"] = true,
            ["stream_options"] = EngineStream.CountedOptions,
        };
        if (engineModel is not null) request["model"] = engineModel;
        if (Seed is not null) request["seed"] = Seed;
        return request;
    }

    public static GenerationParameters Parse(string json) => Json.Deserialize<GenerationParameters>(json);
}
