using System.Text.Json.Nodes;

namespace TokenMill.Web.Gateway;

/// <summary>Errors in OpenAI's shape: all four keys, always. The one place where they are made.</summary>
public static class OpenAiError
{
    public static JsonObject Body(int status, string code, string message, string? param) => new()
    {
        ["error"] = new JsonObject { ["message"] = message, ["type"] = Type(status), ["param"] = param, ["code"] = code },
    };

    public static IResult Result(int status, string code, string message, string? param) =>
        Results.Text(Body(status, code, message, param).ToJsonString(), "application/json", statusCode: status);

    private static string Type(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => "authentication_error",
        StatusCodes.Status403Forbidden => "permission_error",
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        < 500 => "invalid_request_error",
        _ => "server_error",
    };
}
