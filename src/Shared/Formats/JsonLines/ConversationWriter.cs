using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>Writes a row {"messages":[…],"tools":[…]}, message by message.</summary>
internal readonly ref struct ConversationWriter : IDisposable
{
    private readonly Utf8JsonWriter _json;

    public ConversationWriter(IBufferWriter<byte> target)
    {
        _json = new Utf8JsonWriter(target, new JsonWriterOptions { Encoder = Json.Options.Encoder });
        _json.WriteStartObject();
        _json.WriteStartArray("messages"u8);
    }

    public void Message(string role, string content)
    {
        _json.WriteStartObject();
        _json.WriteString("role"u8, role);
        _json.WriteString("content"u8, content);
        _json.WriteEndObject();
    }

    public void Call(string id, string name, JsonElement arguments)
    {
        _json.WriteStartObject();
        _json.WriteString("role"u8, "assistant"u8);
        _json.WriteStartArray("tool_calls"u8);
        _json.WriteStartObject();
        _json.WriteString("id"u8, id);
        _json.WriteString("type"u8, "function"u8);
        _json.WriteStartObject("function"u8);
        _json.WriteString("name"u8, name);
        _json.WritePropertyName("arguments"u8);
        arguments.WriteTo(_json);
        _json.WriteEndObject();
        _json.WriteEndObject();
        _json.WriteEndArray();
        _json.WriteEndObject();
    }

    public void Result(string id, string content)
    {
        _json.WriteStartObject();
        _json.WriteString("role"u8, "tool"u8);
        _json.WriteString("tool_call_id"u8, id);
        _json.WriteString("content"u8, content);
        _json.WriteEndObject();
    }

    /// <summary>Ends the messages; definitions that stand bare are wrapped as OpenAI writes them.</summary>
    public void Tools(JsonElement tools)
    {
        _json.WriteEndArray();
        _json.WriteStartArray("tools"u8);
        foreach (var tool in tools.EnumerateArray())
        {
            if (tool.Property("function"u8) is not null)
            {
                tool.WriteTo(_json);
                continue;
            }
            _json.WriteStartObject();
            _json.WriteString("type"u8, "function"u8);
            _json.WritePropertyName("function"u8);
            tool.WriteTo(_json);
            _json.WriteEndObject();
        }
    }

    public void Dispose()
    {
        _json.WriteEndArray();
        _json.WriteEndObject();
        _json.Dispose();
    }
}
