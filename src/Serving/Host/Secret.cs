using System.Security.Cryptography;
using System.Text;
using TokenMill.Serving.OpenAi;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Host;

/// <summary>Every request must bring the secret, compared in the same time whatever it is.</summary>
internal static class Secret
{
    private const string Scheme = "Bearer ";

    public static void UseSecret(this IApplicationBuilder app, string? secret)
    {
        if (secret is null) return;
        var expected = SHA256.HashData(Encoding.UTF8.GetBytes(secret));
        app.Use((context, next) =>
        {
            var header = context.Request.Headers.Authorization.ToString();
            var given = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..] : "";
            return CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), expected)
                ? next(context)
                : context.WriteErrorAsync(StatusCodes.Status401Unauthorized, new Error("invalid-api-key", "the API key is missing or wrong", "send it as 'Authorization: Bearer KEY'"));
        });
    }
}
