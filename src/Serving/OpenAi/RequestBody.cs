using System.Text.Json;
using TokenMill.Shared;

namespace TokenMill.Serving.OpenAi;

internal static class RequestBody
{
    // Twice the same key is a mistake that two readers would understand differently.
    private static readonly JsonSerializerOptions Strict = new(Json.Options) { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <exception cref="JsonException">The body is no JSON, or something in it has the wrong type.</exception>
    public static async Task<T> ReadBodyAsync<T>(this HttpContext context)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(context.Request.Body, Strict, context.RequestAborted) ?? throw new JsonException("null is no request");
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("a text holds half a surrogate pair", e);
        }
    }
}
