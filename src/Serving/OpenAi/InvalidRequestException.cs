using TokenMill.Shared.Domain;

namespace TokenMill.Serving.OpenAi;

/// <summary>A request that makes no sense, with the parameter at fault.</summary>
internal sealed class InvalidRequestException(string? param, string message, string remedy = "", string code = "invalid-value") : Exception(message)
{
    public string? Param => param;

    public Error Error { get; } = new(code, message, remedy);
}
