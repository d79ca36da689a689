using System.Text.Json.Serialization;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.OpenAi;

/// <summary>The body of every failed call: all four keys are always there.</summary>
public sealed record ErrorBody(ErrorBody.Detail Error)
{
    public sealed record Detail(
        string Message,
        string Type,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);

    /// <summary>Types of errors by status, as OpenAI names them.</summary>
    public static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    /// <summary>Our kebab-case codes become snake_case, as the API's clients expect.</summary>
    public static ErrorBody Of(Error error, int status) =>
        new(new Detail(error.Remedy.Length == 0 ? error.Message : $"{error.Message}; {error.Remedy}", TypeOf(status), error.Field, error.Code.Replace('-', '_')));
}
