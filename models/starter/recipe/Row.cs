using System.Text.Encodings.Web;
using System.Text.Json;

namespace TokenMill.Recipe;

public sealed record Turn(string Role, string Content);

/// <summary>One row of the corpus: a plain text or a conversation.</summary>
public sealed record Row(string? Text, IReadOnlyList<Turn>? Messages)
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Row Plain(string text) => new(text, null);

    public static Row Chat(IReadOnlyList<Turn> messages) => new(null, messages);

    public static Row Chat(string question, string answer) => Chat([new("user", question), new("assistant", answer)]);

    public string ToJson() => JsonSerializer.Serialize(this, Format);
}
