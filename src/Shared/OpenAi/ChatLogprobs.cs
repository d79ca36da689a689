using System.Text.Json.Serialization;

namespace TokenMill.Shared.OpenAi;

/// <summary>Log-probabilities of an answer's tokens. A token's bytes may be a part of a character: its text then shows U+FFFD.</summary>
public sealed record ChatLogprobs(IReadOnlyList<ChatLogprobs.Token> Content)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public object? Refusal => null;

    public sealed record Token([property: JsonPropertyName("token")] string Text, double Logprob, int[] Bytes, IReadOnlyList<Alternative> TopLogprobs);

    public sealed record Alternative(string Token, double Logprob, int[] Bytes);
}
