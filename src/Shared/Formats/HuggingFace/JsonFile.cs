using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>Reads a JSON file of a folder: size and depth limited, no key twice.</summary>
internal static class JsonFile
{
    /// <param name="code">What a file that does not parse is called, for instance config-invalid.</param>
    public static JsonElement Read(string path, string code, int maxBytes, string remedy)
    {
        var name = Path.GetFileName(path);
        var length = new FileInfo(path).Length;
        if (length > maxBytes) throw new RefusedException(new Error(code, $"{name} has {length} bytes; at most {maxBytes} are read", remedy) { Field = name });
        try
        {
            using var stream = File.OpenRead(path);
            using var document = JsonDocument.Parse(stream, new JsonDocumentOptions { MaxDepth = 64, AllowDuplicateProperties = false });
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new RefusedException(new Error(code, $"{name} is no JSON: {e.Message}", remedy) { Field = name }, e);
        }
    }
}
