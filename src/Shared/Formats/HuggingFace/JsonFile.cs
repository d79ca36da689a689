using System.Text.Json;
using System.Text.Unicode;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>Reads a JSON file of a folder: size and depth limited, no key twice, every text a real text.</summary>
internal static class JsonFile
{
    private const int MaxDepth = 64;

    /// <param name="code">What a file that does not parse is called, for instance config-invalid.</param>
    public static JsonElement Read(string path, string code, int maxBytes, string remedy)
    {
        var name = Path.GetFileName(path);
        var length = new FileInfo(path).Length;
        if (length > maxBytes) throw new RefusedException(new Error(code, $"{name} has {length} bytes; at most {maxBytes} are read", remedy) { Field = name });
        try
        {
            var bytes = File.ReadAllBytes(path);
            var json = bytes.AsSpan(bytes is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0);
            CheckTexts(json);
            using var document = JsonDocument.Parse(bytes.AsMemory(bytes.Length - json.Length), new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new RefusedException(new Error(code, $"{name} is no JSON: {e.Message}", remedy) { Field = name }, e);
        }
    }

    // The parser looks at escapes only when a text is asked for; half a surrogate pair would come up far from here.
    private static void CheckTexts(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json)) throw new JsonException("the text is not UTF-8");
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) || !reader.ValueIsEscaped) continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException("half a surrogate pair", e);
            }
        }
    }
}
