using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Serving.Sampling;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.OpenAi;

/// <summary>What a request asks for, checked: how to generate, how many answers to a prompt, how long they may be.</summary>
internal sealed record CompletionSettings(GenerationOptions Generation, int Count, int? MaxTokens)
{
    /// <summary>OpenAI's name for cheaper and slower.</summary>
    public const string BatchTier = "flex";

    private const int MaxStopStrings = 16, MaxStopLength = 1_000, MaxBiases = 1_000, MaxCount = 128, MaxTopLogprobs = 20;

    public RequestPriority Priority { get; private init; }

    /// <summary>Answers differ by their seeds, so that each of a seeded request can be had again.</summary>
    public GenerationOptions OfChoice(int index) =>
        Generation.Sampling.Seed is { } seed ? Generation with { Sampling = Generation.Sampling with { Seed = unchecked(seed + index) } } : Generation;

    public static CompletionSettings Of(CompletionOptions options, int? maxTokens, string maxTokensName, int vocabularySize)
    {
        var count = Between(options.N, "n", 1, MaxCount) ?? 1;
        if (maxTokens < 1) throw Refusals.Invalid(maxTokensName, $"{maxTokensName} is {maxTokens}", "ask for at least 1 token");
        var sampling = new SamplingOptions
        {
            Temperature = Between(options.Temperature, "temperature", 0, 2) ?? 1,
            TopP = Between(options.TopP, "top_p", 0, 1) ?? 1,
            TopK = Math.Max(0, Between(options.TopK, "top_k", -1, int.MaxValue) is { } k ? (int)k : 0),
            MinP = Between(options.MinP, "min_p", 0, 1) ?? 0,
            FrequencyPenalty = Between(options.FrequencyPenalty, "frequency_penalty", -2, 2) ?? 0,
            PresencePenalty = Between(options.PresencePenalty, "presence_penalty", -2, 2) ?? 0,
            RepetitionPenalty = Between(options.RepetitionPenalty, "repetition_penalty", 0.01, 10) ?? 1,
            LogitBias = Biases(options.LogitBias, vocabularySize),
            Seed = options.Seed,
        };
        return new CompletionSettings(new GenerationOptions { Sampling = sampling, StopStrings = Stops(options.Stop), IgnoresEndOfTurn = options.IgnoreEos }, (int)count, maxTokens) { Priority = PriorityOf(options.ServiceTier) };
    }

    public CompletionSettings WithLogprobs(int? top, string name) =>
        Between(top, name, 0, MaxTopLogprobs) is { } count ? this with { Generation = Generation with { TopLogprobs = (int)count } } : this;

    private static RequestPriority PriorityOf(string? tier) => tier switch
    {
        null or "auto" or "default" or "priority" or "scale" => RequestPriority.Interactive,
        BatchTier => RequestPriority.Batch,
        _ => throw Refusals.Invalid("service_tier", $"the tier '{tier}' is unknown", "choose default, or flex for work that nobody waits for"),
    };

    private static double? Between(double? value, string name, double least, double most) =>
        value is null || value >= least && value <= most ? value
        : throw Refusals.Invalid(name, $"{name} is {value.Value.ToString(CultureInfo.InvariantCulture)}", string.Create(CultureInfo.InvariantCulture, $"choose a value from {least} to {most}"));

    private static Dictionary<int, double> Biases(Dictionary<string, double>? biases, int vocabularySize)
    {
        var result = new Dictionary<int, double>();
        if (biases is null) return result;
        if (biases.Count > MaxBiases) throw Refusals.Invalid("logit_bias", $"logit_bias has {biases.Count} tokens", $"give at most {MaxBiases}");
        foreach (var (token, bias) in biases)
        {
            if (!int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id >= vocabularySize)
                throw Refusals.Invalid($"logit_bias.{token}", $"'{token}' is no token", $"tokens are 0 to {vocabularySize - 1}");
            result[id] = Between(bias, $"logit_bias.{token}", -100, 100)!.Value;
        }
        return result;
    }

    private static List<string> Stops(JsonNode? stop)
    {
        var nodes = stop switch
        {
            null => [],
            JsonArray array => array.ToList(),
            _ => [stop],
        };
        if (nodes.Count > MaxStopStrings) throw Refusals.Invalid("stop", $"there are {nodes.Count} stop strings", $"give at most {MaxStopStrings}");
        var strings = new List<string>();
        foreach (var node in nodes)
        {
            if (node is not JsonValue value || !value.TryGetValue<string>(out var text)) throw Refusals.Invalid("stop", "stop is neither a string nor a list of strings", "send \"stop\": [\"…\"]");
            if (text.Length is 0 or > MaxStopLength) throw Refusals.Invalid("stop", $"a stop string has {text.Length} characters", $"give 1 to {MaxStopLength}");
            strings.Add(text);
        }
        return strings;
    }
}
