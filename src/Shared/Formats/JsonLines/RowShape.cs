using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Tells by its keys which format a row is written in.</summary>
internal static class RowShape
{
    /// <summary>messages, alpaca, sharegpt, preference, preference-openai, text, tokens, or null.</summary>
    public static string? Of(JsonElement row)
    {
        if (row.ValueKind != JsonValueKind.Object) return null;
        if (row.Property("messages"u8) is not null) return "messages";
        if (row.Property("conversations"u8) is not null) return "sharegpt";
        if (row.Property("ids"u8) is not null || row.Property("chosen"u8)?.Property("ids"u8) is not null) return "tokens";
        if (row.Property("preferred_output"u8) is not null || row.Property("non_preferred_output"u8) is not null) return "preference-openai";
        if (row.Property("chosen"u8) is not null || row.Property("rejected"u8) is not null) return "preference";
        if (row.Property("instruction"u8) is not null) return "alpaca";
        return row.Property("text"u8) is not null ? "text" : null;
    }

    public static string WhyNoMessages(JsonElement row)
    {
        if (!row.EnumerateObject().Any()) return "the row is empty; write {\"messages\": […]}, or remove it";
        foreach (var property in row.EnumerateObject())
            if (property.Name.Trim().Equals("messages", StringComparison.OrdinalIgnoreCase) || property.Name is "message" or "dialog" or "dialogue" or "chat")
                return $"there is `{property.Name}`; the key is `messages`, in small letters: rename it";
        return Of(row) switch
        {
            "alpaca" => "this row looks like Alpaca, the file is `messages`; put rows of other formats into a file of their own",
            "sharegpt" => "this row looks like ShareGPT, the file is `messages`; put rows of other formats into a file of their own",
            "preference" or "preference-openai" => "this row looks like a preference pair, the file is `messages`; put rows of other formats into a file of their own",
            "text" => "this row is plain text, the file is `messages`; put rows of other formats into a file of their own",
            _ => "there is no `messages`; write {\"messages\": [{\"role\": …, \"content\": …}]}",
        };
    }
}
