using System.Text.Json.Nodes;

namespace TokenMill.Shared.OpenAi;

/// <summary>POST /v1/embeddings.</summary>
public sealed record EmbeddingRequest
{
    /// <summary>A text, a list of token ids, or a list of either.</summary>
    public required JsonNode Input { get; init; }
    public string? Model { get; init; }

    /// <summary>float or base64.</summary>
    public string? EncodingFormat { get; init; }

    /// <summary>Only so many of the first numbers, for models that are trained for that.</summary>
    public int? Dimensions { get; init; }
    public string? User { get; init; }

    /// <summary>Set by the gateway.</summary>
    public string? Tenant { get; init; }
}

/// <summary>Vectors of texts, in the order of the request.</summary>
public sealed record EmbeddingList(IReadOnlyList<EmbeddingList.Entry> Data, string Model, EmbeddingList.TokenUsage Usage)
{
    public string Object { get; init; } = "list";

    /// <param name="Embedding">Numbers, or base64 of them as little-endian floats.</param>
    public sealed record Entry(int Index, object Embedding)
    {
        public string Object { get; init; } = "embedding";
    }

    public sealed record TokenUsage(int PromptTokens, int TotalTokens);
}
